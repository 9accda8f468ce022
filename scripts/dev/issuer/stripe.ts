// What is recorded on a card's stripe: tracks 1 and 2 of its first application, with sentinels and LRC (ISO/IEC 7813).
import { toHex } from '../../../hal/base/bytes.js'
import { writeTrack } from '../../../hal/stripe-tracks.js'
import { track2 } from './application-data.js'
import type { CardProfile } from './card-profile.js'
import type { IssuerKeys } from './issuer-keys.js'

/** One character a byte, as a head reads them. */
export interface RecordedStripe {
  readonly track1: string
  readonly track2: string
}

/** The stripe of a card of the deck. */
export function recordedStripe(card: CardProfile, keys: IssuerKeys): RecordedStripe {
  const application = card.applications[0]!
  const digits = toHex(track2(application, card.pin, keys, card.stripe === 'chipImage' ? 'chip' : 'stripe'))
    .replace(/F$/, '')
    .replace('D', '=')
  const afterPan = digits.slice(digits.indexOf('=') + 1)
  return {
    track1: writeTrack(1, `B${application.pan}^${card.cardholder.slice(0, 26)}^${afterPan}`),
    track2: writeTrack(2, digits),
  }
}
