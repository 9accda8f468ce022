// The dialects that an acquirer's document may name, and the patch over one that it may bring.
import { PosternError } from '../../../../../hal/base/errors.js'
import { type Dialect, type DialectTable, defineDialect, type Layout, patchDialect } from '../codec.js'
import type { Field } from '../field.js'
import type { HostDialect } from '../host-message.js'
import { row, type Style } from '../notation.js'
import { ASCII, ISO87_ASCII_TABLE } from './iso87-ascii.js'
import { BINARY } from './iso87-binary.js'
import { EBCDIC, ISO87_EBCDIC_TABLE } from './iso87-ebcdic.js'
import { POSTERN_DEV_TABLE } from './postern-dev.js'
import { terminal87 } from './terminal87.js'
import { hostDialect87 } from './terminal87-elements.js'
import { TERMINAL93_TABLE } from './terminal93.js'
import { hostDialect93 } from './terminal93-elements.js'

interface Base {
  readonly table: DialectTable
  readonly style: Style
  readonly host: (wire: Dialect, reversals: '0400' | '0420' | undefined) => HostDialect
}

const BASES = {
  /** 1987, digits in BCD, bytes in binary. */
  'postern-dev': { table: POSTERN_DEV_TABLE, style: BINARY, host: hostDialect87 },
  /** 1987, everything in ASCII, bytes as hexadecimal digits. */
  'postern-ascii': {
    table: terminal87(ISO87_ASCII_TABLE, 'postern-ascii', ASCII),
    style: ASCII,
    host: hostDialect87,
  },
  /** 1987, text and digits in EBCDIC, bytes in binary. */
  'postern-ebcdic': {
    table: terminal87(ISO87_EBCDIC_TABLE, 'postern-ebcdic', EBCDIC),
    style: EBCDIC,
    host: hostDialect87,
  },
  /** 1993, digits in BCD, bytes in binary. */
  'postern-93': { table: TERMINAL93_TABLE, style: BINARY, host: hostDialect93 },
} satisfies Record<string, Base>

export type DialectName = keyof typeof BASES
export const DIALECT_NAMES = Object.keys(BASES) as DialectName[]

/** What an acquirer's document may change of its dialect. */
export interface DialectPatch {
  /** Fields in the standard's notation (`n..11`), by number; null takes the field out. */
  readonly fields?: Readonly<Record<string, { readonly notation: string; readonly name: string } | null>>
  /** Fields that a message must or may carry, by message type, in place of the table's. */
  readonly messages?: Readonly<
    Record<string, { readonly must: readonly number[]; readonly may: readonly number[] }>
  >
  /** 1987 only: reversals as advices. */
  readonly reversals?: '0400' | '0420' | undefined
}

/** DE52 holds a format 4 block (16 bytes) with AES keys, and a format 0 block (8 bytes) with TDES keys. */
const TDES_PIN: Record<number, string> = { 52: 'b8' }

/**
 * The dialect of that name, patched.
 * @throws PosternError `ISO8583_INVALID` for a field or message that the patch gets wrong
 */
export function hostDialect(
  name: DialectName,
  patch: DialectPatch = {},
  keys: 'aes' | 'tdes' = 'aes',
): HostDialect {
  const base: Base = BASES[name]
  const rows: Record<number, Field | undefined> = {}
  if (keys === 'tdes') rows[52] = row(base.style, TDES_PIN[52]!, 'PIN block, ISO 9564 format 0', 'hidden')
  for (const [number, change] of Object.entries(patch.fields ?? {})) {
    const shown = base.table.rows[Number(number)]?.shown
    rows[Number(number)] = change === null ? undefined : row(base.style, change.notation, change.name, shown)
  }
  const layouts: Record<string, Layout> = { ...base.table.layouts }
  for (const [mti, { must, may }] of Object.entries(patch.messages ?? {})) {
    const known = layouts[mti]
    if (known === undefined)
      throw new PosternError('ISO8583_INVALID', `${name} has no message type ${mti}`, { path: mti })
    layouts[mti] = { ...known, must, may }
  }
  return base.host(defineDialect(patchDialect(base.table, { name, rows, layouts })), patch.reversals)
}
