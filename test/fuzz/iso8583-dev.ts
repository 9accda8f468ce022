// Fuzz of the dialect postern-dev.
import { dialectTarget } from './support/iso8583-dialect.js'

export const target = await dialectTarget('postern-dev')
