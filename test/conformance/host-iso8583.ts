// Handlers of host/iso8583-*: other projects' field tables become dialects at run time, and their messages go through ours.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ascii, fromHex, toHex } from '../../hal/base/bytes.js'
import { isPosternError } from '../../hal/base/errors.js'
import { type Dialect, type Message, pack, unpack } from '../../runtime/secure/payments/iso8583/codec.js'
import { ISO87_ASCII } from '../../runtime/secure/payments/iso8583/dialects/iso87-ascii.js'
import { ISO87_BINARY } from '../../runtime/secure/payments/iso8583/dialects/iso87-binary.js'
import { POSTERN_DEV } from '../../runtime/secure/payments/iso8583/dialects/postern-dev.js'
import {
  type Field,
  packField,
  unpackField,
  type Value,
} from '../../runtime/secure/payments/iso8583/field.js'
import { Writer } from '../../runtime/secure/payments/iso8583/wire.js'
import { jposDialect, MOST, moovDialect, pyDialect } from './iso8583-tables.js'
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

/** Values of types that ours rule out, as whoever is not held to types would pass them: still a typed error. */
const untyped = (value: unknown) => value as never

/** Keys that pyiso8583 found to be no text, which JSON cannot carry: its message lists them. */
function keysThatAreNoText(error: unknown): readonly string[] {
  const found = /^EncodeError: Dictionary contains invalid fields \[(.*)\]/.exec(String(error ?? ''))?.[1]
  return found?.match(/\([^)]*\)|[^, ]+/g) ?? []
}

/** How many bitmaps these fields take. */
function pyNeeds(fields: Vector): number {
  const numbers = Object.keys(fields).map(Number).filter(Number.isInteger)
  return Math.ceil(Math.max(1, ...numbers) / 64)
}

const pyPack: Handler = (vector, file) => {
  const table = readTable(file, vector.spec)
  if (table === undefined) return skipped('its field table specs/pyiso8583-specs.json is not there')
  const { fields } = vector.inputs
  if (typeof fields !== 'object' || Array.isArray(fields))
    return mustRefuse(
      () => toHex(pack(ISO87_ASCII, { mti: '0210', fields: untyped(fields) })),
      vector.expected.error,
    )
  const noText = keysThatAreNoText(vector.expected.error)
  if (noText.length > 0) {
    const keys = noText.map((key) => (key.startsWith('(') ? key.match(/[0-9]+/g)!.map(Number) : Number(key)))
    const given = new Map(keys.map((key) => [key, '1122']))
    return mustRefuse(
      () => toHex(pack(ISO87_ASCII, { mti: '0210', fields: untyped(given) })),
      vector.expected.error,
    )
  }
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
    return mustRefuse(
      () => [...unpack(ISO87_ASCII, untyped(vector.inputs.hex)).fields],
      vector.expected.error,
    )
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
