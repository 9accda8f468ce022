// A road to an acquirer: bytes in order, both ways, authenticated and encrypted end to end in the secure world.
import type { Duplex } from 'node:stream'

/** Opens one session at a time; what it returns is already authenticated, and nothing of a payment has been sent. */
export interface Road {
  /**
   * Connects and authenticates.
   * @throws PosternError `ROAD_CLOSED` no network or refused, `ROAD_UNTRUSTED` the peer is not the acquirer, `ABORTED`
   */
  open(signal: AbortSignal): Promise<Duplex>
}
