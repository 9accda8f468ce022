// The host's side of DUKPT (ANSI X9.24-3, 6.3.2): from the base key and a message's KSN to what it enciphered or signed.
import { equalBytes, erase } from '../../../hal/base/bytes.js'
import { cmac, decryptCbc, unpadMethod2 } from '../../../hal/base/ciphers.js'
import type { DukptCiphertext } from '../../../runtime/secure/card-transaction.js'
import {
  deriveInitialKey,
  deriveTransactionKey,
  deriveWorkingKey,
  type KeyUsage,
  splitKsn,
} from '../../../runtime/secure/keys/aes-dukpt.js'
import { decipherFormat4 } from '../../../runtime/secure/keys/pin-block.js'

/** What plays the hardware security module. Every refusal is a PosternError of the primitive that refused. */
export interface HostKeys {
  decryptCardData(data: DukptCiphertext): Uint8Array
  decryptPin(block: DukptCiphertext, pan: Uint8Array): Uint8Array
  verifyRequest(ksn: Uint8Array, covered: Uint8Array, mac: Uint8Array): boolean
  macResponse(ksn: Uint8Array, covered: Uint8Array): Uint8Array
}

export function createHostKeys(bdk: Uint8Array): HostKeys {
  function withKey<T>(ksn: Uint8Array, usage: KeyUsage, use: (key: Uint8Array) => T): T {
    const initial = deriveInitialKey(bdk, splitKsn(ksn).ikid)
    const transaction = deriveTransactionKey(initial, ksn)
    const key = deriveWorkingKey(transaction, ksn, usage)
    try {
      return use(key)
    } finally {
      erase(initial, transaction, key)
    }
  }
  const mac = (ksn: Uint8Array, usage: KeyUsage, covered: Uint8Array) =>
    withKey(ksn, usage, (key) => cmac('aes', key, covered).slice(0, 8))
  return {
    decryptCardData: ({ ksn, bytes }) =>
      withKey(ksn, 'dataRequest', (key) => {
        const padded = decryptCbc('aes', key, new Uint8Array(16), bytes)
        try {
          return unpadMethod2(padded)
        } finally {
          erase(padded)
        }
      }),
    decryptPin: ({ ksn, bytes }, pan) => withKey(ksn, 'pin', (key) => decipherFormat4(key, bytes, pan)),
    verifyRequest: (ksn, covered, given) => equalBytes(mac(ksn, 'macRequest', covered), given),
    macResponse: (ksn, covered) => mac(ksn, 'macResponse', covered),
  }
}
