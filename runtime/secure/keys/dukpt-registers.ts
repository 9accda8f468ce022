// The terminal's side of DUKPT: key registers and the counter (ANSI X9.24-3:2017, 6.3.3; X9.24-1:2009, A.3).
import { concat, erase } from '../../../hal/base/bytes.js'
import { PosternError } from '../../../hal/base/errors.js'
import { DUKPT_SCHEMES, type DukptSchemeName } from './dukpt-scheme.js'

/**
 * What a terminal keeps: no initial key, and of each register only what a later counter needs. Register `i` holds the
 * derivation key of the counter that ends in bit `i`. Keys of used counters can't be found again from it.
 */
export interface DukptRegisters {
  readonly scheme: DukptSchemeName
  /** Initial key id, 8 bytes; under TDES the initial KSN, 10 bytes with the counter at zero. */
  readonly ikid: Uint8Array
  readonly keyLength: 16 | 24 | 32
  /** The counter of the next transaction; 0 when they are used up. */
  counter: number
  readonly keys: (Uint8Array | undefined)[]
}

function fillBelow(state: DukptRegisters, parent: Uint8Array, counter: number, bit: number): void {
  const scheme = DUKPT_SCHEMES[state.scheme]
  for (let below = bit - 1; below >= 0; below--) {
    const next = (counter | (1 << below)) >>> 0
    erase(state.keys[below])
    state.keys[below] = scheme.isUsable(next) ? scheme.step(parent, state.ikid, next) : undefined
  }
}

/**
 * Fills the registers from an initial key and erases it (X9.24-3, 6.3.3 and X9.24-1, A.3: "Load Initial Key").
 * @throws PosternError `DUKPT_INVALID`
 */
export function loadRegisters(
  initialKey: Uint8Array,
  ikid: Uint8Array,
  name: DukptSchemeName = 'aes',
): DukptRegisters {
  const scheme = DUKPT_SCHEMES[name]
  if (ikid.length !== scheme.idBytes || !scheme.keyLengths.includes(initialKey.length)) {
    throw new PosternError('DUKPT_INVALID', 'an initial key or its id has another length than its scheme', {
      scheme: name,
      id: ikid.length,
    })
  }
  const state: DukptRegisters = {
    scheme: name,
    ikid: name === 'tdes' ? scheme.ksn(ikid, 0) : ikid.slice(),
    keyLength: initialKey.length as 16 | 24 | 32,
    counter: 1,
    keys: new Array<Uint8Array | undefined>(scheme.registers).fill(undefined),
  }
  fillBelow(state, initialKey, 0, scheme.registers)
  erase(initialKey)
  return state
}

/**
 * Takes the transaction key of the next counter out of the registers and moves them on. The caller makes the new state
 * durable BEFORE it uses the key, and erases the key after. @throws PosternError `KSN_EXHAUSTED`
 */
export function takeTransactionKey(state: DukptRegisters): { ksn: Uint8Array; key: Uint8Array } {
  const { counter } = state
  const scheme = DUKPT_SCHEMES[state.scheme]
  if (counter === 0) throw new PosternError('KSN_EXHAUSTED', 'the key serial numbers are used up')
  const bit = 31 - Math.clz32(counter & -counter)
  const key = state.keys[bit]
  if (key === undefined)
    throw new PosternError('DUKPT_INVALID', 'the register of this counter is empty', { bit })
  const ksn = scheme.ksn(state.ikid, counter)
  state.keys[bit] = undefined
  fillBelow(state, key, counter, bit)
  try {
    state.counter = scheme.next(counter)
  } catch {
    state.counter = 0
  }
  return { ksn, key }
}

/** Moves on by `count` counters without using them, as after a state that may be behind what was used. */
export function skipTransactionKeys(state: DukptRegisters, count: number): void {
  for (let i = 0; i < count && state.counter !== 0; i++) erase(takeTransactionKey(state).key)
}

/** The first byte of a stored state names its scheme. */
const VERSIONS: Readonly<Record<DukptSchemeName, number>> = { aes: 1, tdes: 2 }

/** The state as bytes: version, key length, id, counter, which registers are filled, and their keys. Secret. */
export function encodeRegisters(state: DukptRegisters): Uint8Array {
  const { idBytes } = DUKPT_SCHEMES[state.scheme]
  const head = new Uint8Array(2 + idBytes + 8)
  const view = new DataView(head.buffer)
  head[0] = VERSIONS[state.scheme]
  head[1] = state.keyLength
  head.set(state.ikid, 2)
  view.setUint32(2 + idBytes, state.counter)
  let filled = 0
  for (const [bit, key] of state.keys.entries()) if (key !== undefined) filled |= 1 << bit
  view.setUint32(6 + idBytes, filled >>> 0)
  return concat(head, ...state.keys.filter((key) => key !== undefined))
}

/** Reads `encodeRegisters`' bytes. @throws PosternError `DUKPT_INVALID` */
export function decodeRegisters(bytes: Uint8Array): DukptRegisters {
  const bad = (why: string) => new PosternError('DUKPT_INVALID', `key registers: ${why}`)
  const name: DukptSchemeName | undefined =
    bytes[0] === VERSIONS.aes ? 'aes' : bytes[0] === VERSIONS.tdes ? 'tdes' : undefined
  if (name === undefined) throw bad('unknown version')
  const { idBytes, keyLengths, registers } = DUKPT_SCHEMES[name]
  const head = 2 + idBytes + 8
  if (bytes.length < head) throw bad('length')
  const keyLength = bytes[1]!
  if (!keyLengths.includes(keyLength)) throw bad('key length')
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const filled = view.getUint32(6 + idBytes)
  const keys = new Array<Uint8Array | undefined>(registers).fill(undefined)
  let at = head
  for (let bit = 0; bit < registers; bit++) {
    if ((filled & (1 << bit)) === 0) continue
    keys[bit] = bytes.slice(at, at + keyLength)
    at += keyLength
  }
  if (at !== bytes.length || filled >>> 0 >= 2 ** registers) throw bad('length')
  return {
    scheme: name,
    ikid: bytes.slice(2, 2 + idBytes),
    keyLength: keyLength as 16 | 24 | 32,
    counter: view.getUint32(2 + idBytes),
    keys,
  }
}
