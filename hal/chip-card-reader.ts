// Contact chip card reader (ISO/IEC 7816-3, EMV Level 1): a card in the slot and the APDUs that pass.
import type { Device } from './device.js'

export type ChipCardReaderState = 'empty' | 'present' | 'mute'

export interface ChipCardReaderCapabilities {
  /** Protocols that the reader and driver carry. */
  readonly protocols: readonly ('T=0' | 'T=1')[]
  /** True where the driver passes T=0 procedure as APDU with 61xx/6Cxx visible to the caller (PC/SC does). */
  readonly exposesGetResponse: boolean
}

/**
 * A powered card. `transmit` sends one command APDU (4 to 261 bytes) and resolves with the response APDU
 * (2 to 258 bytes, status words last), or with what happened to the card. It never retries and never interprets
 * status words: 61xx and 6Cxx are the caller's. One command at a time.
 *
 * After `removed` or `timeout` every further `transmit` says the same. An aborted command ends the session too, as its
 * answer would be lost: `transmit` then rejects with `DEVICE_CLOSED`, as after `release`; power on again.
 */
export interface ChipCardSession {
  /** Answer to reset, 2 to 33 bytes. */
  readonly atr: Uint8Array
  readonly protocol: 'T=0' | 'T=1'
  /**
   * `tpdu` for a reader that maps nothing: with T=0, `transmit` then carries a command header of five bytes or a piece of
   * the command's data and resolves with what the card sent back, procedure bytes first (ISO/IEC 7816-3, 10.3.3). Left out
   * where `transmit` carries APDUs, as PC/SC does.
   */
  readonly level?: 'tpdu'
  /** Bound on one command; default 30 s. A card that asks for more time (WTX, NULL) is within it. */
  transmit(
    command: Uint8Array,
    options?: { signal?: AbortSignal; timeoutMs?: number },
  ): Promise<TransmitOutcome>
  /** Powers the card off. Idempotent; does not wait for removal. */
  release(): Promise<void>
}

export type TransmitOutcome =
  | { readonly kind: 'response'; readonly bytes: Uint8Array }
  | { readonly kind: 'removed' } // pulled out, however short the moment
  | { readonly kind: 'mute' } // no answer, or a broken one, at transport level
  | { readonly kind: 'timeout' } // still silent at the bound; the session is dead

export type PowerOnOutcome =
  | { readonly kind: 'session'; readonly session: ChipCardSession }
  | { readonly kind: 'mute' } // present, no valid ATR: wrong way round, or not a chip card
  | { readonly kind: 'removed' }

/**
 * A slot. A card that was inserted before the driver started is seen. Removal during `transmit` wins over any answer
 * that arrives later. At most one session at a time: `powerOn` while one lives is refused with `DEVICE_BUSY`. The two
 * waits may run beside each other and beside a session. A card that left and came back while nobody looked has been
 * removed: the old session says so, and a `waitForRemoval` under way resolves.
 */
export interface ChipCardReader extends Device<ChipCardReaderState> {
  readonly deviceClass: 'chip-card-reader'
  readonly capabilities: ChipCardReaderCapabilities
  /** Resolves once a card, mute or not, is in the slot; at once where one is. */
  waitForCard(signal?: AbortSignal): Promise<void>
  /** Resolves once the slot is empty; at once where it is. */
  waitForRemoval(signal?: AbortSignal): Promise<void>
  /** Cold reset and ATR. */
  powerOn(signal?: AbortSignal): Promise<PowerOnOutcome>
}
