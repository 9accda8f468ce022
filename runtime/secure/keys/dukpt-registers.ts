// The terminal's side of AES DUKPT (ANSI X9.24-3:2017, 6.3.3): intermediate derivation key registers and the counter.
import { concat, erase } from '../../../hal/base/bytes.js'
import { PosternError } from '../../../hal/base/errors.js'
import { deriveStep, IKID_BYTES, isUsableCounter, makeKsn, nextCounter } from './aes-dukpt.js'

/**
 * What a terminal keeps: no initial key, and of each register only what a later counter needs. Register `i` holds the
 * derivation key of the counter that ends in bit `i`. Keys of used counters can't be found again from it.
 */
export interface DukptRegisters {
  readonly ikid: Uint8Array
  readonly keyLength: 16 | 24 | 32
  /** The counter of the next transaction; 0 when they are used up. */
  counter: number
  readonly keys: (Uint8Array | undefined)[]
}

const REGISTERS = 32

function fillBelow(state: DukptRegisters, parent: Uint8Array, counter: number, bit: number): void {
  for (let below = bit - 1; below >= 0; below--) {
    const next = (counter | (1 << below)) >>> 0
    erase(state.keys[below])
    state.keys[below] = isUsableCounter(next) ? deriveStep(parent, state.ikid, next) : undefined
  }
}

/** Fills the registers from an initial key and erases it (X9.24-3, 6.3.3 "Load Initial Key"). @throws PosternError `DUKPT_INVALID` */
export function loadRegisters(initialKey: Uint8Array, ikid: Uint8Array): DukptRegisters {
  if (ikid.length !== IKID_BYTES || ![16, 24, 32].includes(initialKey.length)) {
    throw new PosternError('DUKPT_INVALID', 'an initial key is 16, 24 or 32 bytes, its id 8')
  }
  const state: DukptRegisters = {
    ikid: ikid.slice(),
    keyLength: initialKey.length as 16 | 24 | 32,
    counter: 1,
    keys: new Array<Uint8Array | undefined>(REGISTERS).fill(undefined),
  }
  fillBelow(state, initialKey, 0, REGISTERS)
  erase(initialKey)
  return state
}

/**
 * Takes the transaction key of the next counter out of the registers and moves them on. The caller makes the new state
 * durable BEFORE it uses the key, and erases the key after. @throws PosternError `KSN_EXHAUSTED`
 */
export function takeTransactionKey(state: DukptRegisters): { ksn: Uint8Array; key: Uint8Array } {
  const { counter } = state
  if (counter === 0) throw new PosternError('KSN_EXHAUSTED', 'the key serial numbers are used up')
  const bit = 31 - Math.clz32(counter & -counter)
  const key = state.keys[bit]
  if (key === undefined)
    throw new PosternError('DUKPT_INVALID', 'the register of this counter is empty', { bit })
  const ksn = makeKsn(state.ikid, counter)
  state.keys[bit] = undefined
  fillBelow(state, key, counter, bit)
  try {
    state.counter = nextCounter(counter)
  } catch {
    state.counter = 0
  }
  return { ksn, key }
}

/** Moves on by `count` counters without using them, as after a state that may be behind what was used. */
export function skipTransactionKeys(state: DukptRegisters, count: number): void {
  for (let i = 0; i < count && state.counter !== 0; i++) erase(takeTransactionKey(state).key)
}

const VERSION = 1

/** The state as bytes: version, key length, IKID, counter, which registers are filled, and their keys. Secret. */
export function encodeRegisters(state: DukptRegisters): Uint8Array {
  const head = new Uint8Array(2 + IKID_BYTES + 8)
  const view = new DataView(head.buffer)
  head[0] = VERSION
  head[1] = state.keyLength
  head.set(state.ikid, 2)
  view.setUint32(10, state.counter)
  let filled = 0
  for (const [bit, key] of state.keys.entries()) if (key !== undefined) filled |= 1 << bit
  view.setUint32(14, filled >>> 0)
  return concat(head, ...state.keys.filter((key) => key !== undefined))
}

/** Reads `encodeRegisters`' bytes. @throws PosternError `DUKPT_INVALID` */
export function decodeRegisters(bytes: Uint8Array): DukptRegisters {
  const bad = (why: string) => new PosternError('DUKPT_INVALID', `key registers: ${why}`)
  if (bytes.length < 18 || bytes[0] !== VERSION) throw bad('unknown version')
  const keyLength = bytes[1]
  if (keyLength !== 16 && keyLength !== 24 && keyLength !== 32) throw bad('key length')
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const filled = view.getUint32(14)
  const keys = new Array<Uint8Array | undefined>(REGISTERS).fill(undefined)
  let at = 18
  for (let bit = 0; bit < REGISTERS; bit++) {
    if ((filled & (1 << bit)) === 0) continue
    keys[bit] = bytes.slice(at, at + keyLength)
    at += keyLength
  }
  if (at !== bytes.length) throw bad('length')
  return { ikid: bytes.slice(2, 10), keyLength, counter: view.getUint32(10), keys }
}
