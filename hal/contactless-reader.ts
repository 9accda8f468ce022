// Contactless reader (ISO/IEC 14443, EMV Contactless Book D): one card in the field, collisions as events.
import type { ChipCardSession } from './chip-card-reader.js'
import type { Device } from './device.js'

export type ContactlessReaderState = 'fieldOff' | 'polling' | 'present' | 'collision'

export type ContactlessEvent =
  | { readonly type: 'collision' } // more than one card: ask for one
  | { readonly type: 'removedEarly' } // left the field while a session was open

export type PollOutcome =
  | { readonly kind: 'session'; readonly session: ChipCardSession; readonly technology: 'A' | 'B' }
  | { readonly kind: 'collision' }

/**
 * The field is off except during `poll` and while a session lives; releasing the session switches it off. `poll` waits
 * without bound; abort ends it. A tag that is no ISO/IEC 14443-4 card is passed over. A second card that comes into the
 * field ends the session as `removed`, as its card can't be reached any more.
 */
export interface ContactlessReader extends Device<ContactlessReaderState, ContactlessEvent> {
  readonly deviceClass: 'contactless-reader'
  poll(signal?: AbortSignal): Promise<PollOutcome>
  /** Switches the field off for at least 5.1 ms (reset), or for good until the next poll. */
  fieldOff(): Promise<void>
}
