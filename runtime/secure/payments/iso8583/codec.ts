// ISO 8583 messages (ISO 8583:1987, 4): MTI, up to three bitmaps and fields, packed and unpacked by a dialect's table.
import { type Encoding, type Field, fieldBytes, packField, unpackField, type Value } from './field.js'
import { type Cursor, fieldError, Writer } from './wire.js'

/** A message: its type, and its fields by number (`'2'` to `'192'`) without bitmaps. */
export interface Message {
  readonly mti: string
  readonly fields: ReadonlyMap<string, Value>
}

export type BitmapEncoding = Extract<Encoding, 'binary' | 'hex' | 'hex-ebcdic'>

/** How one acquirer writes messages. Made by `defineDialect`. */
export interface Dialect {
  readonly name: string
  readonly mti: Field
  /** How each bitmap is encoded: two as in the standard of 1987; three where bit 65 announces another. */
  readonly bitmaps: readonly BitmapEncoding[]
  /** True where every bitmap is always sent and bit 1 announces nothing, as some hosts of fixed 16 bytes have it. */
  readonly allBitmaps?: boolean
  /** By number; a hole is a field that the dialect does not have. */
  readonly fields: readonly (Field | undefined)[]
  /** The same with their paths, by number and by the number in text, as a message names them. */
  readonly rows: readonly (Row | undefined)[]
  readonly byPath: ReadonlyMap<string, Row>
  /** What each message type must and may carry; absent for a bare standard. A type that isn't listed is refused. */
  readonly layouts?: Readonly<Record<string, Layout>>
  /** Bound on a whole message in bytes. */
  readonly most: number
}

/** A field where it stands in a message. */
export interface Row {
  readonly number: number
  readonly path: string
  readonly field: Field
  /** On the wire, where that is fixed; else 0. */
  readonly bytes: number
}

/** The fields of one message type. */
export interface Layout {
  readonly name: string
  readonly must: readonly number[]
  readonly may: readonly number[]
  /** True where it ends with a MAC: DE64, or DE128 where a field above 64 is sent. Neither is in `must` or `may` then. */
  readonly mac?: true
}

/** A dialect as it is written down: rows by field number. A row of `undefined` in a patch takes the field out. */
export interface DialectTable {
  readonly name: string
  readonly mti: Field
  readonly bitmaps: Dialect['bitmaps']
  readonly allBitmaps?: boolean
  readonly rows: Readonly<Record<number, Field | undefined>>
  readonly layouts?: Readonly<Record<string, Layout>>
  readonly most?: number
}

const BITMAP_BYTES = 8
const DEFAULT_MOST = 8192

function rowOf(number: number, field: Field): Row {
  const bytes = field.prefix === 'fixed' ? fieldBytes(field, '') : 0
  return { number, path: String(number), field, bytes }
}

/** Makes a dialect from its table. */
export function defineDialect(table: DialectTable): Dialect {
  const last = table.bitmaps.length * 64
  const fields: (Field | undefined)[] = new Array(last + 1).fill(undefined)
  for (const [key, field] of Object.entries(table.rows)) {
    const number = Number(key)
    if (number < 2 || number > last || !Number.isInteger(number))
      throw fieldError(key, 'no such field number')
    fields[number] = field
  }
  // With a third bitmap, bit 65 announces it and is no field.
  if (table.bitmaps.length === 3) fields[65] = undefined
  const rows = fields.map((field, number): Row | undefined =>
    field === undefined ? undefined : rowOf(number, field),
  )
  return {
    name: table.name,
    mti: table.mti,
    bitmaps: table.bitmaps,
    allBitmaps: table.allBitmaps ?? false,
    fields,
    rows,
    byPath: new Map(rows.flatMap((row) => (row === undefined ? [] : [[row.path, row]]))),
    most: table.most ?? DEFAULT_MOST,
    ...(table.layouts === undefined ? {} : { layouts: table.layouts }),
  }
}

/** A dialect as a patch over another: what is given replaces, rows are merged by number. */
export function patchDialect(
  base: DialectTable,
  patch: Partial<DialectTable> & { name: string },
): DialectTable {
  return { ...base, ...patch, rows: { ...base.rows, ...patch.rows } }
}

const bitmapField = (encoding: BitmapEncoding): Field => ({
  name: 'Bitmap',
  type: 'b',
  encoding,
  prefix: 'fixed',
  length: BITMAP_BYTES,
  padding: 'none',
})

const BITMAP_FIELDS: Readonly<Record<BitmapEncoding, Field>> = {
  binary: bitmapField('binary'),
  hex: bitmapField('hex'),
  'hex-ebcdic': bitmapField('hex-ebcdic'),
}

/** The field that holds the MAC: DE128 once any field above 64 is sent (ISO 8583:1987, 4.3.64 and 128). */
export function macField(fields: Iterable<string>): '64' | '128' {
  for (const key of fields) if (Number(key) > 64) return '128'
  return '64'
}

/** Holds a message against the layout of its type. */
function checkLayout(dialect: Dialect, message: Message): void {
  if (dialect.layouts === undefined) return
  const layout = Object.hasOwn(dialect.layouts, message.mti) ? dialect.layouts[message.mti] : undefined
  if (layout === undefined) throw fieldError('mti', `${dialect.name} has no such message type`)
  for (const number of layout.must) {
    if (!message.fields.has(String(number)))
      throw fieldError(String(number), `is missing in a ${message.mti}`)
  }
  const mac = layout.mac === true ? macField(message.fields.keys()) : undefined
  if (mac !== undefined && !message.fields.has(mac)) throw fieldError(mac, `is missing in a ${message.mti}`)
  for (const key of message.fields.keys()) {
    if (key === mac) continue
    const number = Number(key)
    if (!layout.must.includes(number) && !layout.may.includes(number))
      throw fieldError(key, `has no place in a ${message.mti}`)
  }
}

/**
 * Packs a message.
 * @example pack(POSTERN_DEV, { mti: '0800', fields: new Map([['11', '000001'], ['70', '301']]) })
 * @throws PosternError `ISO8583_INVALID` with the field's path
 */
export function pack(dialect: Dialect, message: Message): Uint8Array {
  const rows: Row[] = []
  let isSorted = true
  let last = 0
  if (!(message.fields instanceof Map)) throw fieldError('fields', 'must be a map')
  let room = fieldBytes(dialect.mti, message.mti)
  for (const [key, value] of message.fields) {
    const row = dialect.byPath.get(key)
    if (row === undefined) throw fieldError(String(key).slice(0, 8), `${dialect.name} does not have it`)
    if (row.number < last) isSorted = false
    else last = row.number
    rows.push(row)
    room += row.bytes > 0 ? row.bytes : fieldBytes(row.field, value)
  }
  checkLayout(dialect, message)
  if (!isSorted) rows.sort((a, b) => a.number - b.number)
  const all = dialect.allBitmaps === true
  const bitmaps = all ? dialect.bitmaps.length : Math.max(1, Math.ceil(last / 64))
  const maps: Uint8Array[] = []
  for (let i = 0; i < bitmaps; i++) {
    const bits = new Uint8Array(BITMAP_BYTES)
    // Bit 1 announces the next bitmap (ISO 8583:1987, 4.4).
    if (i + 1 < bitmaps && !all) bits[0] = 0x80
    maps.push(bits)
    room += fieldBytes(BITMAP_FIELDS[dialect.bitmaps[i]!], bits)
  }
  for (const { number } of rows)
    maps[(number - 1) >> 6]![((number - 1) >> 3) & 7]! |= 0x80 >> ((number - 1) & 7)
  const writer = new Writer(dialect.most, room)
  packField(writer, dialect.mti, message.mti, 'mti')
  for (let i = 0; i < bitmaps; i++) packField(writer, BITMAP_FIELDS[dialect.bitmaps[i]!], maps[i]!, 'bitmap')
  for (const { path, field } of rows) packField(writer, field, message.fields.get(path)!, path)
  return writer.finish()
}

function readBitmap(cursor: Cursor, dialect: Dialect, index: number): Uint8Array {
  return unpackField(cursor, BITMAP_FIELDS[dialect.bitmaps[index]!], 'bitmap') as Uint8Array
}

/**
 * Unpacks a whole message; nothing may be left over.
 * @throws PosternError `ISO8583_INVALID` with the field's path
 */
export function unpack(dialect: Dialect, bytes: Uint8Array): Message {
  if (!(bytes instanceof Uint8Array)) throw fieldError('message', 'must be bytes')
  if (bytes.length > dialect.most) throw fieldError('mti', 'the message is too long', { most: dialect.most })
  const cursor: Cursor = { bytes, at: 0 }
  const mti = unpackField(cursor, dialect.mti, 'mti') as string
  const maps = [readBitmap(cursor, dialect, 0)]
  // Bit 1 of a bitmap announces the next one (ISO 8583:1987, 4.4).
  while (maps.length < dialect.bitmaps.length && (dialect.allBitmaps || (maps.at(-1)![0]! & 0x80) !== 0))
    maps.push(readBitmap(cursor, dialect, maps.length))
  const fields = new Map<string, Value>()
  for (let at = 0; at < maps.length * BITMAP_BYTES; at++) {
    let bits = maps[at >> 3]![at & 7]!
    if ((at & 7) === 0 && (at >> 3) + 1 < dialect.bitmaps.length) bits &= 0x7f
    while (bits !== 0) {
      const bit = Math.clz32(bits) - 24
      bits &= 0x7f >> bit
      const number = at * 8 + bit + 1
      const row = dialect.rows[number]
      if (row === undefined) throw fieldError(String(number), `${dialect.name} does not have it`)
      fields.set(row.path, unpackField(cursor, row.field, row.path))
    }
  }
  if (cursor.at !== bytes.length) {
    throw fieldError('end', 'bytes are left over', { offset: cursor.at, left: bytes.length - cursor.at })
  }
  const message = { mti, fields }
  checkLayout(dialect, message)
  return message
}
