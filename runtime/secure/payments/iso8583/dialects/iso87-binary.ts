// ISO 8583:1987 with digits in BCD and bytes in binary: the ASCII table in another style, and what binary makes possible.
import { type DialectTable, defineDialect, patchDialect } from '../codec.js'
import { restyle, row, type Style } from '../notation.js'
import { ISO87_ASCII_TABLE } from './iso87-ascii.js'

export const BINARY: Style = { digits: 'bcd', text: 'ascii', bytes: 'binary', prefix: 'bcd' }

export const ISO87_BINARY_TABLE: DialectTable = patchDialect(restyle(ISO87_ASCII_TABLE, BINARY), {
  name: 'iso87-binary',
  rows: {
    // EMV data are BER-TLV, which has no text form (EMV Book 4, 10.1).
    55: row(BINARY, 'b...255', 'Integrated circuit card data', 'hidden'),
  },
})

export const ISO87_BINARY = defineDialect(ISO87_BINARY_TABLE)
