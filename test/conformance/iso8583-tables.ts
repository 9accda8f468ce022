// Other projects' ISO 8583 field tables (host/specs) made into dialects at run time: jPOS, moov, pyiso8583.
import { PosternError } from '../../hal/base/errors.js'
import {
  type BitmapEncoding,
  type Dialect,
  defineDialect,
} from '../../runtime/secure/payments/iso8583/codec.js'
import type { Field } from '../../runtime/secure/payments/iso8583/field.js'
import type { Prefix } from '../../runtime/secure/payments/iso8583/wire.js'
import type { Vector } from './vectors.js'

/** Bound on a message of the vectors. */
export const MOST = 1_000_000

const unknown = (what: string) => new PosternError('ISO8583_INVALID', `an unknown ${what}`, { path: 'spec' })

const fixed = (encoding: Field['encoding'], length: number, rest: Partial<Field> = {}): Field => ({
  name: 'field',
  type: encoding === 'binary' || encoding.startsWith('hex') ? 'b' : 'any',
  encoding,
  prefix: 'fixed',
  length,
  padding: 'none',
  ...rest,
})

// jPOS: a field is a class name; IFA is ASCII, IFB binary, IFE EBCDIC.

const JPOS_PREFIX = { IFA: 'ascii', IFB: 'bcd', IFE: 'ebcdic' } as const

function jposField(row: Vector): Field | undefined {
  const { length } = row
  const idle = { side: row.pad === 'true' ? 'left' : 'right', nibble: 0 } as const
  if (row.class === 'IF_CHAR') return fixed('ascii', length, { padding: 'rightSpace' })
  const match = /^(IFA|IFB|IFE)_(L{2,6}H?)?(E?CHAR|NUM|NUMERIC|BINARY|AMOUNT)$/.exec(row.class.trim())
  if (match === null) return undefined
  const [, family, lengths, kind] = match as unknown as [string, keyof typeof JPOS_PREFIX, string?, string?]
  const binary = family === 'IFB'
  const prefix: Field['prefix'] =
    lengths === undefined
      ? 'fixed'
      : lengths.endsWith('H')
        ? { digits: 1, encoding: 'binary' }
        : { digits: lengths.length, encoding: JPOS_PREFIX[family] }
  switch (kind) {
    case 'NUMERIC':
      return fixed(binary ? 'bcd' : 'ascii', length, { padding: 'leftZero', idle })
    case 'NUM':
      return fixed(binary ? 'bcd' : 'ascii', length, { prefix, idle })
    case 'CHAR':
      return fixed(family === 'IFE' ? 'ebcdic' : 'ascii', length, { prefix, padding: 'rightSpace' })
    case 'ECHAR':
      return fixed('ebcdic', length, { prefix })
    case 'BINARY':
      // Of variable length even the ASCII family writes bytes as they are.
      return fixed(binary || lengths !== undefined ? 'binary' : 'hex', length, { prefix })
    default:
      return fixed(binary ? 'bcd' : 'ascii', length, { type: 'x+n', idle })
  }
}

export function jposDialect(table: Vector): Dialect {
  const { 0: mti, 1: bitmap, ...fields } = table.fields
  const encoding: BitmapEncoding = bitmap.class === 'IFA_BITMAP' ? 'hex' : 'binary'
  const rows = Object.fromEntries(Object.entries(fields).map(([number, row]) => [number, jposField(row)]))
  return defineDialect({
    name: 'jpos',
    mti: jposField(mti)!,
    bitmaps: [encoding, encoding],
    rows,
    most: MOST,
  })
}

// moov: a field is type, encoder and prefix.

const MOOV_ENCODINGS: Readonly<Record<string, Field['encoding']>> = {
  asciiEncoder: 'ascii',
  bcdEncoder: 'bcd',
  binaryEncoder: 'binary',
  hexToASCIIEncoder: 'hex',
}

function moovField(row: Vector): Field {
  const encoding = MOOV_ENCODINGS[row.enc]
  if (encoding === undefined) throw unknown('encoder')
  const [family, size] = String(row.prefix).split('.') as [string, string]
  const prefix: Field['prefix'] =
    size === 'Fixed' ? 'fixed' : { digits: size.length, encoding: family.toLowerCase() as Prefix['encoding'] }
  const pad = String(row.padLeft ?? '')
  return fixed(encoding, row.length, {
    prefix,
    padding: pad.includes('leftPadder:"0"')
      ? 'leftZero'
      : pad.includes('rightPadder:" "')
        ? 'rightSpace'
        : 'none',
  })
}

export function moovDialect(table: Vector): Dialect {
  const { 0: mti, 1: bitmap, ...fields } = table
  const encoding = MOOV_ENCODINGS[bitmap.enc] as BitmapEncoding
  const rows = Object.fromEntries(Object.entries(fields).map(([number, row]) => [number, moovField(row)]))
  // A length in its own table means that both bitmaps are always sent.
  const always = bitmap.length > 8
  return defineDialect({
    name: 'moov',
    mti: moovField(mti),
    bitmaps: [encoding, encoding],
    allBitmaps: always,
    rows,
    most: MOST,
  })
}

// pyiso8583: a field is data_enc, len_enc, len_type (bytes of length), max_len, len_count, pads.

const PY_TEXT: Readonly<Record<string, 'ascii' | 'ebcdic'>> = { ascii: 'ascii', cp500: 'ebcdic' }

function pyField(row: Vector): Field {
  const nibbles = row.len_count === 'nibbles'
  let encoding: Field['encoding'] | undefined = row.data_enc === 'b' ? 'binary' : PY_TEXT[row.data_enc]
  if (row.data_enc === 'b' && nibbles) encoding = 'bcd'
  if (encoding === undefined) throw unknown('encoding')
  const lengths: Readonly<Record<string, Prefix>> = {
    ascii: { digits: row.len_type, encoding: 'ascii' },
    cp500: { digits: row.len_type, encoding: 'ebcdic' },
    bcd: { digits: row.len_type * 2, encoding: 'bcd' },
    b: { digits: row.len_type, encoding: 'binary' },
  }
  const counts = nibbles ? 'nibbles' : 'units'
  if (row.len_type > 0 && lengths[row.len_enc] === undefined) throw unknown('length encoding')
  const prefix =
    row.len_type === 0 ? 'fixed' : { ...lengths[row.len_enc]!, counts: counts as Prefix['counts'] }
  const pad = row.left_pad ?? row.right_pad
  return fixed(encoding, nibbles && encoding !== 'bcd' ? row.max_len / 2 : row.max_len, {
    type: encoding === 'binary' ? 'b' : encoding === 'bcd' ? 'any' : 'ans',
    prefix,
    idle: pad ? { side: row.left_pad ? 'left' : 'right', nibble: Number.parseInt(pad[0], 16) } : 'none',
  })
}

const PY_BITMAPS: Readonly<Record<string, BitmapEncoding>> = {
  b: 'binary',
  ascii: 'hex',
  cp500: 'hex-ebcdic',
}

export function pyDialect(table: Vector, needed: number): { dialect: Dialect; header: Field } {
  // The third bitmap is written as the second.
  const encodings = ['p', '1', '1'].map((key) => PY_BITMAPS[table[key].data_enc])
  // A table may name an encoding that nobody has for a bitmap that the message doesn't need.
  const end = encodings.indexOf(undefined)
  const bitmaps = (end < 0 ? encodings : encodings.slice(0, end)) as BitmapEncoding[]
  if (bitmaps.length < needed) throw unknown('bitmap encoding')
  const rows: Record<number, Field> = {}
  for (const [key, row] of Object.entries(table) as [string, Vector][]) {
    const number = Number(key)
    if (number >= 2 && number <= bitmaps.length * 64 && number !== 65) rows[number] = pyField(row)
  }
  const mti = table.t.data_enc === 'b' ? fixed('bcd', 4, { idle: 'none' }) : pyField(table.t)
  return {
    dialect: defineDialect({
      name: 'pyiso8583',
      mti,
      bitmaps: bitmaps as BitmapEncoding[],
      rows,
      most: MOST,
    }),
    header: pyField(table.h),
  }
}
