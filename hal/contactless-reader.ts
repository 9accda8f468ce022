// Contactless reader (ISO/IEC 14443, EMV Contactless Book D): one card in the field, collisions as events.
import type { ChipCardSession } from './chip-card-reader.js'
import type { Device } from './device.js'

export type ContactlessReaderState = 'fieldOff' | 'polling' | 'present' | 'collision'

export type ContactlessEvent =
  | { readonly type: 'collision' } // more than one card: ask for one
  /** Left the field while a session was open. `torn`: in the middle of a command, so nobody knows whether it was done. */
  | { readonly type: 'removedEarly'; readonly torn: boolean }
  /** A phone that offers no card (locked, or payment switched off): its owner has to look at it. Told where it can be. */
  | { readonly type: 'seePhone' }

export type PollOutcome =
  | { readonly kind: 'session'; readonly session: ChipCardSession; readonly technology: 'A' | 'B' }
  | { readonly kind: 'collision' }

export interface ContactlessReaderCapabilities {
  /** False where the reader keeps its field on by itself (PC/SC): the card is then powered off where the field should be. */
  readonly controlsField: boolean
}

/**
 * The field is off except during `poll` and while a session lives; releasing the session switches it off. `poll` waits
 * without bound; abort ends it. A tag that is no ISO/IEC 14443-4 card is passed over. A second card that comes into the
 * field ends the session as `removed`, as its card can't be reached any more.
 */
export interface ContactlessReader extends Device<ContactlessReaderState, ContactlessEvent> {
  readonly deviceClass: 'contactless-reader'
  readonly capabilities: ContactlessReaderCapabilities
  poll(signal?: AbortSignal): Promise<PollOutcome>
  /** Switches the field off for at least 5.1 ms (reset), or for good until the next poll. */
  fieldOff(): Promise<void>
}
