// ISO 8583:1987 as mainframes write it: text, digits and lengths in EBCDIC, bitmaps and bytes in binary; else the ASCII table.
import { type DialectTable, defineDialect, patchDialect } from '../codec.js'
import { restyle, row, type Style } from '../notation.js'
import { ISO87_ASCII_TABLE } from './iso87-ascii.js'

export const EBCDIC: Style = { digits: 'ebcdic', text: 'ebcdic', bytes: 'binary', prefix: 'ebcdic' }

export const ISO87_EBCDIC_TABLE: DialectTable = patchDialect(restyle(ISO87_ASCII_TABLE, EBCDIC), {
  name: 'iso87-ebcdic',
  rows: {
    // EMV data are BER-TLV, which has no text form (EMV Book 4, 10.1).
    55: row(EBCDIC, 'b...255', 'Integrated circuit card data', 'hidden'),
  },
})

export const ISO87_EBCDIC = defineDialect(ISO87_EBCDIC_TABLE)
