// Several roads to one acquirer: the next is taken only where the one before has sent nothing.
import type { Clock } from '../../../../hal/base/clock.js'
import type { Exchange, HostLine } from '../host-line.js'
import type { RoadKind } from './road.js'

/** A road that did not open is tried last for so long. */
const SHUT_MS = 60_000

export interface KnownRoad {
  readonly kind: RoadKind
  readonly line: HostLine
  /** Where it is known without trying. */
  readonly isOpen?: () => boolean
}

/** Roads that may open later, before those that were found shut a moment ago; else in the order given. */
function inOrder(
  roads: readonly KnownRoad[],
  prefer: RoadKind | undefined,
  isShut: (road: KnownRoad) => boolean,
): readonly KnownRoad[] {
  const rank = (road: KnownRoad) => (isShut(road) ? 2 : road.kind === prefer ? 0 : 1)
  return roads.toSorted((a, b) => rank(a) - rank(b))
}

/**
 * The same message over the first road that opens. What may have left on one is `unknown` and stays so: only its reversal
 * may take another, and prefers the original's own.
 */
export function createRoadsLine(roads: readonly KnownRoad[], clock: Clock): HostLine {
  const shutAt = new Map<RoadKind, number>()
  const isShut = ({ kind, isOpen }: KnownRoad) => {
    if (isOpen !== undefined) return !isOpen()
    const since = shutAt.get(kind)
    return since !== undefined && clock.monotonicMs() - since <= SHUT_MS
  }
  return {
    close() {
      for (const { line } of roads) line.close()
    },
    async exchange(request, signal) {
      let left = false
      const beforeSend: typeof request.beforeSend = (over) => {
        // Whatever happens from here on, not even a throw of the caller's opens a second road.
        left = true
        request.beforeSend(over)
      }
      let result: Exchange<never> = { kind: 'notSent', reason: 'ROAD_CLOSED' }
      for (const { kind, line } of inOrder(roads, request.prefer, isShut)) {
        const tried = await line.exchange({ ...request, beforeSend }, signal)
        if (tried.kind !== 'notSent') {
          shutAt.delete(kind)
          return tried
        }
        result = tried
        // Keys that are missing here are missing on every road.
        if (left || signal.aborted || !tried.reason.startsWith('ROAD_')) break
        shutAt.set(kind, clock.monotonicMs())
      }
      return result
    },
  }
}
