// What a transaction key is used for, by scheme: AES (ANSI X9.24-3, 6.3.2) and TDES (X9.24-1, A.4.1).
import { erase } from '../../../hal/base/bytes.js'
import { cmac, encryptCbc, encryptEcb, padMethod2, retailMac } from '../../../hal/base/ciphers.js'
import type { Random } from '../../../hal/base/clock.js'
import { deriveWorkingKey } from './aes-dukpt.js'
import type { DukptSchemeName } from './dukpt-scheme.js'
import { encipherFormat4, encodeFormat0, encodeFormat3 } from './pin-block.js'
import { deriveTdesWorkingKey } from './tdes-dukpt.js'

/** How an acquirer wants PIN and messages protected; its document says so. */
export type KeyProfile =
  | { readonly scheme: 'aes'; readonly pinBlock: 4; readonly mac: 'cmac' }
  | {
      readonly scheme: 'tdes'
      /** ISO 9564-1 format under the PIN key. */
      readonly pinBlock: 0 | 3
      /** `retail`: ANSI X9.19 with zero padding. `cmac`: SP 800-38B over TDES. */
      readonly mac: 'retail' | 'cmac'
    }

export const DEFAULT_PROFILES: Readonly<Record<DukptSchemeName, KeyProfile>> = {
  aes: { scheme: 'aes', pinBlock: 4, mac: 'cmac' },
  tdes: { scheme: 'tdes', pinBlock: 0, mac: 'retail' },
}

/** MAC keys of one exchange. */
export interface MacKeyPair {
  readonly request: Uint8Array
  readonly response: Uint8Array
}

/** The uses of one transaction key; each erases the working keys that it makes, none the transaction key. */
export interface WorkingKeys {
  /** CBC under the request data key, zero IV as the key is used once; ISO/IEC 9797-1 padding method 2. */
  encryptData(key: Uint8Array, ksn: Uint8Array, clear: Uint8Array): Uint8Array
  encryptPin(key: Uint8Array, ksn: Uint8Array, pin: Uint8Array, pan: Uint8Array): Uint8Array
  macKeys(key: Uint8Array, ksn: Uint8Array): MacKeyPair
  /** One whole block, the caller truncates. */
  mac(key: Uint8Array, message: Uint8Array): Uint8Array
}

function aesWorkingKeys(random: Random): WorkingKeys {
  return {
    encryptData(key, ksn, clear) {
      const working = deriveWorkingKey(key, ksn, 'dataRequest')
      const padded = padMethod2(clear, 16)
      try {
        return encryptCbc('aes', working, new Uint8Array(16), padded)
      } finally {
        erase(working, padded)
      }
    },
    encryptPin(key, ksn, pin, pan) {
      const working = deriveWorkingKey(key, ksn, 'pin')
      try {
        return encipherFormat4(working, pin, pan, random)
      } finally {
        erase(working)
      }
    },
    macKeys: (key, ksn) => ({
      request: deriveWorkingKey(key, ksn, 'macRequest'),
      response: deriveWorkingKey(key, ksn, 'macResponse'),
    }),
    mac: (key, message) => cmac('aes', key, message),
  }
}

function tdesWorkingKeys(profile: KeyProfile & { scheme: 'tdes' }, random: Random): WorkingKeys {
  return {
    encryptData(key, _ksn, clear) {
      const working = deriveTdesWorkingKey(key, 'dataRequest')
      const padded = padMethod2(clear, 8)
      try {
        return encryptCbc('tdes', working, new Uint8Array(8), padded)
      } finally {
        erase(working, padded)
      }
    },
    encryptPin(key, _ksn, pin, pan) {
      const block = profile.pinBlock === 0 ? encodeFormat0(pin, pan) : encodeFormat3(pin, pan, random)
      const working = deriveTdesWorkingKey(key, 'pin')
      try {
        return encryptEcb('tdes', working, block)
      } finally {
        erase(working, block)
      }
    },
    macKeys: (key) => ({
      request: deriveTdesWorkingKey(key, 'macRequest'),
      response: deriveTdesWorkingKey(key, 'macResponse'),
    }),
    mac: (key, message) =>
      profile.mac === 'retail' ? retailMac(key, message, 1) : cmac('tdes', key, message),
  }
}

export function workingKeys(profile: KeyProfile, random: Random): WorkingKeys {
  return profile.scheme === 'aes' ? aesWorkingKeys(random) : tdesWorkingKeys(profile, random)
}
