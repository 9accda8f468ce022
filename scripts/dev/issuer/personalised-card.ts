// A card's contents after personalisation: what the engine serves (EMV Book 1, 12; Book 3, 7).
import { ascii } from '../../../hal/base/bytes.js'
import type { ApplicationProfile, CardProfile } from './card-profile.js'
import type { DolEntry } from './dol.js'
import type { EcKeyPair } from './ec-key.js'
import type { RsaKey } from './rsa-key.js'

/** The card's own TDES keys, 16 bytes each (Book 2, A1.4, option B). */
export interface CardKeySet {
  readonly cryptogram: Uint8Array
  readonly scriptMac: Uint8Array
  readonly scriptCipher: Uint8Array
}

/** An application as the chip holds it. */
export interface PersonalisedApplication {
  readonly profile: ApplicationProfile
  readonly aid: Uint8Array
  /** Whole answer to SELECT, template 6F. */
  readonly fci: Uint8Array
  /** Application interchange profile 82. */
  readonly aip: Uint8Array
  /** Application file locator 94. */
  readonly afl: Uint8Array
  /** Records with their template 70, by `recordId`. */
  readonly records: ReadonlyMap<number, Uint8Array>
  readonly pdol: readonly DolEntry[]
  readonly cdol1: readonly DolEntry[]
  readonly cdol2: readonly DolEntry[]
  readonly keys: CardKeySet
  readonly generalKey: RsaKey | undefined
  readonly pinKey: RsaKey | undefined
  /** With XDA in place of the two above: the key that signs, and the one that PINs are enciphered to. */
  readonly eccKey: EcKeyPair | undefined
  readonly eccPinKey: EcKeyPair | undefined
}

/** A card, ready to be put into a chip. */
export interface PersonalisedCard {
  readonly profile: CardProfile
  /** Payment system environment: its FCI and directory records; undefined where the card has none. */
  readonly directory:
    | { readonly fci: Uint8Array; readonly records: ReadonlyMap<number, Uint8Array> }
    | undefined
  readonly applications: readonly PersonalisedApplication[]
}

/** Key of a record in a card's files. */
export const recordId = (sfi: number, record: number): number => sfi * 256 + record

/** Name of the payment system environment (Book 1, 12.2.2). */
export const PSE_NAME = ascii.encode('1PAY.SYS.DDF01')
