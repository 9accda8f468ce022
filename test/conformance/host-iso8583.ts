// Handlers of host/iso8583-*: other projects' field tables become dialects at run time, and their messages go through ours.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ascii, fromHex, toHex } from '../../hal/base/bytes.js'
import { isPosternError, PosternError } from '../../hal/base/errors.js'
import {
  type BitmapEncoding,
  type Dialect,
  defineDialect,
  type Message,
  pack,
  unpack,
} from '../../runtime/secure/payments/iso8583/codec.js'
import { ISO87_ASCII } from '../../runtime/secure/payments/iso8583/dialects/iso87-ascii.js'
import { ISO87_BINARY } from '../../runtime/secure/payments/iso8583/dialects/iso87-binary.js'
import { POSTERN_DEV } from '../../runtime/secure/payments/iso8583/dialects/postern-dev.js'
import {
  type Field,
  packField,
  unpackField,
  type Value,
} from '../../runtime/secure/payments/iso8583/field.js'
import { type Prefix, Writer } from '../../runtime/secure/payments/iso8583/wire.js'
import {
  check,
  type Handler,
  type Kind,
  mustRefuse,
  passed,
  skipped,
  type Vector,
  type VectorFile,
} from './vectors.js'

const MOST = 1_000_000

/** A table of `specs/`, read once for each vector file it lies beside. */
const tables = new WeakMap<VectorFile, Map<string, Vector>>()

function readTable(file: VectorFile, name: string): Vector {
  const known = tables.get(file) ?? new Map<string, Vector>()
  tables.set(file, known)
  const source = name.startsWith('pyiso8583-') ? 'pyiso8583-specs' : name
  const path = join(dirname(file.path), 'specs', `${source}.json`)
  if (!known.has(source) && existsSync(path)) known.set(source, JSON.parse(readFileSync(path, 'utf8')))
  const table = known.get(source)
  return source === name ? table : table?.[name]
}

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

function jposDialect(table: Vector): Dialect {
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

function moovDialect(table: Vector): Dialect {
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

function pyDialect(table: Vector, needed: number): { dialect: Dialect; header: Field } {
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

const valueFor = (field: Field | undefined, given: Vector): Value => {
  const hex = typeof given === 'object' ? given.hex : given
  return field?.type === 'b' ? fromHex(String(hex)) : String(hex)
}

/** Packs, compares, and reads the expected bytes back to what was packed. */
const packTable =
  (make: (table: Vector) => Dialect): Handler =>
  (vector, file) => {
    const table = readTable(file, vector.spec)
    if (table === undefined) return skipped(`its field table specs/${vector.spec}.json is not there`)
    if (Object.values<Vector>(table).some((row) => /^Hex\.L/.test(row?.prefix ?? '')))
      return skipped('length indicators of hexadecimal digits (runtime/secure/payments/iso8583, money issue)')
    const dialect = make(table)
    const fields = new Map<string, Value>()
    for (const [key, given] of Object.entries(vector.inputs.fields)) {
      if (dialect.fields[Number(key)] === undefined && table.fields?.[key] !== undefined)
        return skipped(
          `fields of class ${table.fields[key].class} (runtime/secure/payments/iso8583, money issue)`,
        )
      fields.set(key, valueFor(dialect.fields[Number(key)], given))
    }
    const message = { mti: vector.inputs.mti, fields }
    const packed = check(vector.expected.hex, toHex(pack(dialect, message)))
    if (packed.kind !== 'passed') return packed
    return check(vector.expected.hex, toHex(pack(dialect, unpack(dialect, fromHex(vector.expected.hex)))))
  }

const PYTHON_TYPES =
  'a value of another Python type: these arguments are typed here, there is nothing to refuse'

/** How many bitmaps these fields take. */
function pyNeeds(fields: Vector): number {
  const numbers = Object.keys(fields).map(Number).filter(Number.isInteger)
  return Math.ceil(Math.max(1, ...numbers) / 64)
}

const pyPack: Handler = (vector, file) => {
  const table = readTable(file, vector.spec)
  if (table === undefined) return skipped('its field table specs/pyiso8583-specs.json is not there')
  const { fields } = vector.inputs
  if (
    typeof fields !== 'object' ||
    Array.isArray(fields) ||
    Object.values(fields).some((one) => typeof one !== 'string')
  )
    return skipped(PYTHON_TYPES)
  // Keys of another type than text, which JSON can't carry.
  if (String(vector.expected.error ?? '').startsWith('EncodeError: Dictionary contains invalid fields'))
    return skipped(PYTHON_TYPES)
  const act = () => {
    const { dialect, header } = pyDialect(table, pyNeeds(fields))
    // Bitmaps follow from the fields.
    const { h, t, p: _p, 1: _secondary, 65: _tertiary, ...rest } = fields
    const writer = new Writer(MOST)
    if (table.h.max_len > 0) packField(writer, header, valueFor(header, h ?? ''), 'h')
    const message: Message = {
      mti: t ?? '',
      fields: new Map(
        Object.entries(rest).map(([key, given]) => [key, valueFor(dialect.fields[Number(key)], given)]),
      ),
    }
    return toHex(writer.finish()) + toHex(pack(dialect, message))
  }
  return vector.expected.error === undefined
    ? check(vector.expected.hex, act())
    : mustRefuse(act, vector.expected.error)
}

const pyUnpack: Handler = (vector, file) => {
  const table = readTable(file, vector.spec)
  if (table === undefined) return skipped('its field table specs/pyiso8583-specs.json is not there')
  if (typeof vector.inputs.hex !== 'string' || /[^0-9A-Fa-f]/.test(vector.inputs.hex))
    return skipped(PYTHON_TYPES)
  const act = () => {
    const bytes = fromHex(vector.inputs.hex)
    const { dialect, header } = pyDialect(table, pyNeeds(vector.expected.fields ?? {}))
    const cursor = { bytes, at: 0 }
    unpackField(cursor, header, 'h')
    const message = unpack(dialect, bytes.subarray(cursor.at))
    const fields: Record<string, string> = { t: message.mti }
    for (const [key, value] of message.fields) fields[key] = typeof value === 'string' ? value : toHex(value)
    return fields
  }
  if (vector.expected.error !== undefined) return mustRefuse(act, vector.expected.error)
  // Header and bitmaps are not fields here; what they said is shown by the fields that were found.
  const { h: _h, p: _p, 1: _one, 65: _third, ...expected } = vector.expected.fields
  return check(expected, act())
}

/** No expectation but that nothing worse than a typed error happens, in any of our dialects. */
const rawMessage: Handler = (vector) => {
  const inputs = [ascii.encode(String(vector.ascii ?? ''))]
  if (typeof vector.hex === 'string') inputs.push(fromHex(vector.hex))
  for (const dialect of [ISO87_ASCII, ISO87_BINARY, POSTERN_DEV]) {
    for (const bytes of inputs) {
      try {
        unpack(dialect, bytes)
      } catch (error) {
        if (!isPosternError(error))
          return { kind: 'failed', expected: 'a message or a typed error', got: error }
      }
    }
  }
  return passed
}

const iso8583Pack: Handler = (vector, file) => {
  if (String(vector.spec).startsWith('jpos-')) return packTable(jposDialect)(vector, file)
  if (String(vector.spec).startsWith('moov-')) return packTable(moovDialect)(vector, file)
  if (String(vector.spec).startsWith('pyiso8583-')) return pyPack(vector, file)
  return skipped(`field tables of ${vector.source}`)
}

export const ISO8583_KINDS: readonly Kind[] = [
  { kind: 'iso8583.pack', handler: iso8583Pack },
  { kind: 'iso8583.unpack', handler: pyUnpack },
  { kind: 'host/iso8583-moov-raw-messages', handler: rawMessage },
]
