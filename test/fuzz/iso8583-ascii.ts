// Fuzz of the dialect postern-ascii.
import { dialectTarget } from './support/iso8583-dialect.js'

export const target = await dialectTarget('postern-ascii')
