// The acquirers of a terminal: found by the id that a record names, and chosen for a payment by the routing rules.
import type { Acquirer, Acquirers, RouteQuestion } from './acquirer-port.js'

/** Acquirers in the order of preference that `choose` gives; whatever it names that is not there is left out. */
export function createAcquirers(
  all: readonly Acquirer[],
  choose: (question: RouteQuestion) => readonly string[],
): Acquirers {
  const known = new Map(all.map((acquirer) => [acquirer.id, acquirer]))
  return {
    all,
    byId: (id) => known.get(id),
    route: (question) => choose(question).flatMap((id) => known.get(id) ?? []),
  }
}
