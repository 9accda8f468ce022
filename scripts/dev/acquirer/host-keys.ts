// The host's side of DUKPT (ANSI X9.24-3 and X9.24-1): from the base key and a message's KSN to what it enciphered or signed.
import { equalBytes, erase, toHex } from '../../../hal/base/bytes.js'
import { cmac, decryptCbc, decryptEcb, retailMac, unpadMethod2 } from '../../../hal/base/ciphers.js'
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
import { wrapTr31 } from '../../key-room/tr31-wrap.js'

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

/** Length (2), an AES-128 key (16) and this are whole blocks. */
const PADDING_BYTES = 14

/** Makes TR-31 D blocks, each with a new AES DUKPT initial key and its id (optional block IK). */
export function createKeyBlocks(bdk: Uint8Array, kbpk: Uint8Array, random: Random): () => string {
  return () => {
    const ikid = random(8)
    const key = deriveInitialKey(bdk, ikid)
    try {
      return wrapTr31(
        kbpk,
        {
          version: 'D',
          usage: 'B1',
          algorithm: 'A',
          mode: 'X',
          keyVersion: '00',
          exportability: 'N',
          optional: [{ id: 'IK', data: toHex(ikid) }],
        },
        key,
        random(PADDING_BYTES),
      )
    } finally {
      erase(key)
    }
  }
}
