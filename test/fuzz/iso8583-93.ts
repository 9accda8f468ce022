// Fuzz of the dialect postern-93.
import { dialectTarget } from './support/iso8583-dialect.js'

export const target = await dialectTarget('postern-93')
