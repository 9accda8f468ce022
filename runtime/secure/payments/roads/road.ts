// The roads to an acquirer: which there are, and what a session is: bytes in order, authenticated and encrypted end to end.
import type { Duplex } from 'node:stream'

/** Ways to an acquirer: a TLS session of our own, or envelopes through a payment gateway. */
export const ROADS = ['tls', 'gateway'] as const
export type RoadKind = (typeof ROADS)[number]

/** By which road a message left; what a gateway has not forwarded by `expiresAtMs` it never will. */
export interface SentOver {
  readonly road: RoadKind
  readonly expiresAtMs?: number
}

/** Opens one session at a time; what it returns is already authenticated, and nothing of a payment has been sent. */
export interface Road {
  /**
   * Connects and authenticates.
   * @throws PosternError `ROAD_CLOSED` no network or refused, `ROAD_UNTRUSTED` the peer is not the acquirer, `ABORTED`
   */
  open(signal: AbortSignal): Promise<Duplex>
}
