// Fuzz of what the keys read back: register states, PIN blocks, key serial numbers; typed errors only.
import { ascii, concat } from '../../hal/base/bytes.js'
import { isPosternError } from '../../hal/base/errors.js'
import { deriveTransactionKey, splitKsn } from '../../runtime/secure/keys/aes-dukpt.js'
import {
  decodeRegisters,
  encodeRegisters,
  loadRegisters,
  skipTransactionKeys,
} from '../../runtime/secure/keys/dukpt-registers.js'
import { decodeRecord } from '../../runtime/secure/keys/key-set-record.js'
import * as pin from '../../runtime/secure/keys/pin-block.js'
import { deriveTdesTransactionKey, splitTdesKsn } from '../../runtime/secure/keys/tdes-dukpt.js'

const STATE = encodeRegisters(loadRegisters(new Uint8Array(16).fill(7), new Uint8Array(8).fill(9)))
const TDES_HEAD = encodeRegisters(
  loadRegisters(new Uint8Array(16).fill(7), new Uint8Array(10).fill(9), 'tdes'),
).subarray(0, 16)
const RECORD_HEAD = ascii.encode('PKS\u0002')
const KEY = new Uint8Array(16).fill(5)

function typed(act: () => unknown): void {
  try {
    act()
  } catch (error) {
    if (!isPosternError(error)) throw error
  }
}

export const target = {
  name: 'keys',
  run(bytes: Uint8Array, seed: number): void {
    typed(() => decodeRegisters(bytes))
    typed(() => decodeRecord(bytes))
    typed(() => decodeRecord(concat(RECORD_HEAD, bytes)))
    typed(() => skipTransactionKeys(decodeRegisters(concat(TDES_HEAD, bytes)), 1))
    typed(() => splitTdesKsn(bytes))
    typed(() => deriveTdesTransactionKey(KEY, bytes.subarray(0, 10)))
    const state = STATE.slice()
    for (let at = 0; at + 1 < Math.min(bytes.length, 8); at += 2)
      state[bytes[at]! % state.length] = bytes[at + 1]!
    typed(() => skipTransactionKeys(decodeRegisters(state), 1 + (seed % 3)))
    typed(() => splitKsn(bytes))
    typed(() => deriveTransactionKey(KEY, bytes.subarray(0, 12)))
    const pan = bytes.subarray(8, 24).map((byte) => 0x30 + (byte % 11))
    const block = bytes.subarray(0, 8)
    typed(() => pin.decodeFormat0(block, pan))
    typed(() => pin.decodeFormat1(block))
    typed(() => pin.decodeFormat2(block))
    typed(() => pin.decodeFormat3(block, pan))
    typed(() => pin.decipherFormat4(KEY, bytes.subarray(0, 16), pan))
    typed(() => pin.encodeFormat0(bytes.subarray(0, 4), pan))
  },
}
