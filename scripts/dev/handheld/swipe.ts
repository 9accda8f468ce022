// What the head reads of a swipe: the whole stripe, one that was too fast for it, or the first half of it.
import type { RecordedStripe } from '../issuer/stripe.js'
import type { SwipeManner } from './action.js'

/** Half a track has no end sentinel; a swipe that is too fast loses a character, so that the LRC is wrong. */
const READ: Readonly<Record<SwipeManner, (track: string) => string>> = {
  clean: (track) => track,
  bad: (track) => track.slice(0, 5) + track.slice(6),
  partial: (track) => track.slice(0, track.length >> 1),
}

export function swiped({ track1, track2 }: RecordedStripe, how: SwipeManner): RecordedStripe {
  return { track1: READ[how](track1), track2: READ[how](track2) }
}
