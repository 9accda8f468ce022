// The host's side of DUKPT (ANSI X9.24-3 and X9.24-1): from the base key and a message's KSN to what it enciphered or signed.
import { equalBytes, erase, toHex } from '../../../hal/base/bytes.js'
import {
  cmac,
  decryptCbc,
  decryptEcb,
  keyCheckValue,
  retailMac,
  unpadMethod2,
} from '../../../hal/base/ciphers.js'
import type { Random } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import type { DukptCiphertext } from '../../../runtime/secure/card-transaction.js'
import {
  deriveInitialKey,
  deriveTransactionKey,
  deriveWorkingKey,
  splitKsn,
} from '../../../runtime/secure/keys/aes-dukpt.js'
import { decipherFormat4, decodeFormat0 } from '../../../runtime/secure/keys/pin-block.js'
import {
  deriveTdesInitialKey,
  deriveTdesTransactionKey,
  deriveTdesWorkingKey,
  TDES_KSN_BYTES,
} from '../../../runtime/secure/keys/tdes-dukpt.js'
import { paddingLength, wrapTr31 } from '../../key-room/tr31-wrap.js'
import type { KeyHabit } from './rules.js'

/** What plays the hardware security module. Every refusal is a PosternError of the primitive that refused. */
export interface HostKeys {
  decryptCardData(data: DukptCiphertext): Uint8Array
  decryptPin(block: DukptCiphertext, pan: Uint8Array): Uint8Array
  verifyRequest(ksn: Uint8Array, covered: Uint8Array, mac: Uint8Array): boolean
  macResponse(ksn: Uint8Array, covered: Uint8Array): Uint8Array
}

export interface BaseKeys {
  readonly aes: Uint8Array
  /** Absent: key serial numbers of ten bytes are refused. */
  readonly tdes?: Uint8Array
}

type Use = 'pin' | 'macRequest' | 'macResponse' | 'dataRequest'

export function createHostKeys(base: BaseKeys): HostKeys {
  function withKey<T>(ksn: Uint8Array, usage: Use, use: (key: Uint8Array, tdes: boolean) => T): T {
    const tdes = ksn.length === TDES_KSN_BYTES
    if (tdes && base.tdes === undefined) throw new PosternError('KSN_INVALID', 'no TDES base key here')
    const initial = tdes
      ? deriveTdesInitialKey(base.tdes!, ksn)
      : deriveInitialKey(base.aes, splitKsn(ksn).ikid)
    const transaction = tdes ? deriveTdesTransactionKey(initial, ksn) : deriveTransactionKey(initial, ksn)
    const key = tdes ? deriveTdesWorkingKey(transaction, usage) : deriveWorkingKey(transaction, ksn, usage)
    try {
      return use(key, tdes)
    } finally {
      erase(initial, transaction, key)
    }
  }
  const mac = (ksn: Uint8Array, usage: Use, covered: Uint8Array) =>
    withKey(ksn, usage, (key, tdes) =>
      (tdes ? retailMac(key, covered, 1) : cmac('aes', key, covered)).slice(0, 8),
    )
  return {
    decryptCardData: ({ ksn, bytes }) =>
      withKey(ksn, 'dataRequest', (key, tdes) => {
        const padded = decryptCbc(tdes ? 'tdes' : 'aes', key, new Uint8Array(tdes ? 8 : 16), bytes)
        try {
          return unpadMethod2(padded)
        } finally {
          erase(padded)
        }
      }),
    decryptPin: ({ ksn, bytes }, pan) =>
      withKey(ksn, 'pin', (key, tdes) =>
        tdes ? decodeFormat0(decryptEcb('tdes', key, bytes), pan) : decipherFormat4(key, bytes, pan),
      ),
    verifyRequest: (ksn, covered, given) => equalBytes(mac(ksn, 'macRequest', covered), given),
    macResponse: (ksn, covered) => mac(ksn, 'macResponse', covered),
  }
}

/** Who asks for a new key, under which key serial number, and how the block is to be wrong. */
export interface KeyBlockOrder {
  readonly terminalId: string
  readonly ksn: Uint8Array
  readonly habit?: KeyHabit | undefined
}

/** A new id of the kind that the asking key has: eight random bytes, or a TDES key set id with another device number. */
function newId(ksn: Uint8Array, random: Random): Uint8Array {
  if (ksn.length !== TDES_KSN_BYTES) return random(8)
  const id = ksn.slice()
  id.set(random(5), 5)
  id[7]! &= 0xe0 // 21 bits of counter
  id.fill(0, 8)
  return id
}

/**
 * Makes TR-31 D blocks under the protection key of whoever asks: a new DUKPT initial key of the same scheme, its id
 * (optional block IK or KS) and its check value (KC). Undefined where the terminal has no protection key here.
 */
export function createKeyBlocks(
  base: BaseKeys,
  kbpkOf: (terminalId: string) => Uint8Array | undefined,
  random: Random,
): (order: KeyBlockOrder) => string | undefined {
  return ({ terminalId, ksn, habit }) => {
    const kbpk = kbpkOf(terminalId)
    const tdes = ksn.length === TDES_KSN_BYTES
    const own = tdes ? base.tdes : base.aes
    if (kbpk === undefined || own === undefined) return undefined
    const id = newId(ksn, random)
    const bdk = habit === 'foreignBase' ? own.map((byte) => byte ^ 0x55) : own
    const key = tdes ? deriveTdesInitialKey(bdk, id) : deriveInitialKey(bdk, id)
    const scheme = tdes ? 'tdes' : 'aes'
    const value = keyCheckValue(scheme, key, tdes ? 3 : 5)
    if (habit === 'wrongCheckValue') value[0]! ^= 1
    try {
      const block = wrapTr31(
        kbpk,
        {
          version: 'D',
          usage: 'B1',
          algorithm: tdes ? 'T' : 'A',
          mode: 'X',
          keyVersion: '00',
          exportability: 'N',
          optional: [
            { id: tdes ? 'KS' : 'IK', data: toHex(id) },
            // 00: a block of zeros enciphered; 01: its CMAC (X9.143).
            ...(habit === 'noCheckValue' ? [] : [{ id: 'KC', data: `${tdes ? '00' : '01'}${toHex(value)}` }]),
          ],
        },
        key,
        random(paddingLength('D', key.length, key.length)),
      )
      return habit === 'altered' ? block.slice(0, -1) + (block.endsWith('0') ? '1' : '0') : block
    } finally {
      erase(key)
    }
  }
}
