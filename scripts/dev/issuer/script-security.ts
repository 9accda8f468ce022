// Keys and MACs of issuer scripts in this scheme, for the host that makes them and the card that checks them (EMV Book 2, 9).
import { concat } from '../../../hal/base/bytes.js'
import type { CryptogramVersion } from './cryptogram-data.js'
import { atcSessionKey, commonSessionKey } from './key-derivation.js'
import { commandMac } from './secure-messaging.js'

/** Instruction bytes of script commands (EMV Book 3, 6.5; PUT DATA ISO/IEC 7816-4). */
export const SCRIPT_INS = {
  blockCard: 0x16,
  unblockApplication: 0x18,
  blockApplication: 0x1e,
  changePin: 0x24,
  putData: 0xda,
} as const

/** What ties a script to one transaction. */
export interface ScriptContext {
  readonly version: CryptogramVersion
  readonly atc: number
  readonly arqc: Uint8Array
}

const two = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff)

const sessionKey = (cardKey: Uint8Array, { version, atc, arqc }: ScriptContext): Uint8Array =>
  version === 10 ? atcSessionKey(cardKey, two(atc)) : commonSessionKey(cardKey, arqc)

/** Session key for enciphered script data. */
export function scriptCipherKey(cardKey: Uint8Array, context: ScriptContext): Uint8Array {
  return sessionKey(cardKey, context)
}

/**
 * MAC of one script command, 8 bytes, over its header with the whole Lc, the ATC, a chaining value and its data.
 * NOTE: Book 2, 9.2.3 leaves the chaining to the scheme: here it is the ARQC, then the MAC of the command before.
 */
export function scriptMac(
  cardKey: Uint8Array,
  context: ScriptContext,
  chain: Uint8Array | undefined,
  header: Uint8Array,
  data: Uint8Array,
): Uint8Array {
  const message = concat(
    header,
    Uint8Array.of(data.length + 8),
    two(context.atc),
    chain ?? context.arqc,
    data,
  )
  return commandMac(sessionKey(cardKey, context), message)
}
