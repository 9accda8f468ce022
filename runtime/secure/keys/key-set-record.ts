// A key set as it lies in the key store: versioned fields, those of a later release kept as they are.
import { ascii, concat, equalBytes, erase } from '../../../hal/base/bytes.js'
import { PosternError } from '../../../hal/base/errors.js'
import { type DukptRegisters, decodeRegisters, encodeRegisters } from './dukpt-registers.js'

/** `PKS` and the format: another format is one that this release must not touch. */
const MAGIC = ascii.encode('PKS')
const FORMAT = 2
const TOKEN_KEY_BYTES = 32
/** Ids of former initial keys that are remembered, so that none is ever loaded again. */
const MAX_FORMER = 64

/** Fields: tag (1), length (2), value. A tag that is unknown here is kept and written back. */
const FIELD = { tokenKey: 1, registers: 2, former: 3, sequence: 4, proven: 5 } as const

/** Owned by whoever decoded or made it; `eraseRecord` when done. */
export interface KeySetRecord {
  readonly tokenKey: Uint8Array
  readonly registers: DukptRegisters
  /** Ids of the initial keys before this one, oldest first. */
  readonly former: readonly Uint8Array[]
  /** Of the last key package that was imported; 0 before the first. */
  readonly sequence: number
  /**
   * Registers of the last initial key that a host is known to share, while it has not yet answered under the newer one
   * in `registers`; absent once it has, and where there was none before.
   */
  readonly proven?: DukptRegisters | undefined
  /** Fields of a later release, as they came. */
  readonly others: readonly { readonly tag: number; readonly value: Uint8Array }[]
}

const bad = (why: string) => new PosternError('KEY_STORE_DAMAGED', `key set: ${why}`)

export function eraseRecord(record: KeySetRecord): void {
  erase(
    record.tokenKey,
    ...record.registers.keys,
    ...(record.proven?.keys ?? []),
    ...record.others.map(({ value }) => value),
  )
}

function field(tag: number, value: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(tag, value.length >> 8, value.length & 0xff), value)
}

/** The record's bytes. Secret: erased by the caller. */
export function encodeRecord(record: KeySetRecord): Uint8Array {
  const registers = encodeRegisters(record.registers)
  const former = record.former.slice(-MAX_FORMER).map((id) => concat(Uint8Array.of(id.length), id))
  const sequence = new Uint8Array(4)
  new DataView(sequence.buffer).setUint32(0, record.sequence)
  const proven = record.proven && encodeRegisters(record.proven)
  const fields = [
    field(FIELD.tokenKey, record.tokenKey),
    field(FIELD.registers, registers),
    field(FIELD.former, concat(...former)),
    field(FIELD.sequence, sequence),
    ...(proven === undefined ? [] : [field(FIELD.proven, proven)]),
    ...record.others.map(({ tag, value }) => field(tag, value)),
  ]
  const whole = concat(MAGIC, Uint8Array.of(FORMAT), ...fields)
  erase(registers, proven, ...fields)
  return whole
}

function readFields(bytes: Uint8Array): Map<number, Uint8Array> {
  const fields = new Map<number, Uint8Array>()
  let at = 0
  while (at < bytes.length) {
    if (at + 3 > bytes.length) throw bad('a field is cut short')
    const end = at + 3 + (bytes[at + 1]! << 8) + bytes[at + 2]!
    if (end > bytes.length || fields.has(bytes[at]!)) throw bad('a field is cut short or comes twice')
    fields.set(bytes[at]!, bytes.subarray(at + 3, end))
    at = end
  }
  return fields
}

function readFormer(bytes: Uint8Array): Uint8Array[] {
  const former: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += 1 + bytes[at]!) {
    if (at + 1 + bytes[at]! > bytes.length) throw bad('former ids')
    former.push(bytes.slice(at + 1, at + 1 + bytes[at]!))
  }
  return former
}

/**
 * Reads a record. The first development releases wrote token key and registers side by side; that is read too.
 * @throws PosternError `KEY_STORE_REFUSED` of a format that only a later release knows, `KEY_STORE_DAMAGED`
 */
export function decodeRecord(bytes: Uint8Array): KeySetRecord {
  if (!equalBytes(bytes.subarray(0, MAGIC.length), MAGIC)) {
    return {
      tokenKey: bytes.slice(0, TOKEN_KEY_BYTES),
      registers: decodeRegisters(bytes.subarray(TOKEN_KEY_BYTES)),
      former: [],
      sequence: 0,
      others: [],
    }
  }
  if (bytes[MAGIC.length] !== FORMAT) {
    throw new PosternError(
      'KEY_STORE_REFUSED',
      'the key set was written by a release that this one cannot follow',
      {
        format: bytes[MAGIC.length] ?? 0,
      },
    )
  }
  const fields = readFields(bytes.subarray(MAGIC.length + 1))
  const tokenKey = fields.get(FIELD.tokenKey)
  const registers = fields.get(FIELD.registers)
  const sequence = fields.get(FIELD.sequence)
  if (tokenKey?.length !== TOKEN_KEY_BYTES || registers === undefined || sequence?.length !== 4)
    throw bad('a field is missing')
  const known: readonly number[] = Object.values(FIELD)
  const proven = fields.get(FIELD.proven)
  return {
    tokenKey: tokenKey.slice(),
    registers: decodeRegisters(registers),
    former: readFormer(fields.get(FIELD.former) ?? new Uint8Array(0)),
    sequence: new DataView(sequence.buffer, sequence.byteOffset).getUint32(0),
    ...(proven === undefined ? {} : { proven: decodeRegisters(proven) }),
    others: [...fields]
      .filter(([tag]) => !known.includes(tag))
      .map(([tag, value]) => ({ tag, value: value.slice() })),
  }
}
