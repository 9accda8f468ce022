// The acquirers of a terminal: found by the id that a record names, and chosen for a payment by the routing rules.
import type { Clock } from '../../../hal/base/clock.js'
import { type AcquirerEntry, capabilitiesOf, keySetOf } from './acquirer-document.js'
import type { Acquirer, Acquirers, RouteQuestion } from './acquirer-port.js'
import { explainRoute, type RoutedAcquirer } from './routing.js'
import type { RoutingDocument } from './routing-document.js'

/** An acquirer whose road did not open is tried last for so long. */
const SHUT_MS = 60_000

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

/** What routing needs to know of an acquirer, from its document. */
export function routedAcquirer(entry: AcquirerEntry): RoutedAcquirer {
  const { least, most } = entry.limits ?? {}
  return {
    id: entry.id,
    currency: entry.currency,
    capabilities: capabilitiesOf(entry),
    limits: {
      ...(least === undefined ? {} : { leastMinor: BigInt(least) }),
      ...(most === undefined ? {} : { mostMinor: BigInt(most) }),
    },
    keySet: keySetOf(entry),
  }
}

/** Remembers for a while whose road did not open: by what was sent, and what was not. */
function watched(acquirer: Acquirer, shut: Map<string, number>, clock: Clock): Acquirer {
  const seen = <T extends { readonly kind: string; readonly reason?: string }>(answer: T): T => {
    if (answer.kind !== 'notSent') shut.delete(acquirer.id)
    else if (answer.reason?.startsWith('ROAD_')) shut.set(acquirer.id, clock.monotonicMs())
    return answer
  }
  return {
    ...acquirer,
    authorise: async (...args) => seen(await acquirer.authorise(...args)),
    reverse: async (...args) => seen(await acquirer.reverse(...args)),
  }
}

/**
 * The acquirers of the documents, routed by their rules. Card data are enciphered under one key set, that of whom the
 * rules prefer for this card (`keySetFor`): once the card was read (`bin`), acquirers of another set are no candidates.
 */
export function routedAcquirers(
  all: readonly Acquirer[],
  entries: readonly AcquirerEntry[],
  document: RoutingDocument,
  clock: Clock,
): Acquirers & { keySetFor(question: RouteQuestion): string } {
  const routed = entries.map(routedAcquirer)
  const shut = new Map<string, number>()
  const isAvailable = (id: string) => {
    const since = shut.get(id)
    return since === undefined || clock.monotonicMs() - since > SHUT_MS
  }
  const setOf = (id: string | undefined) => routed.find((one) => one.id === id)?.keySet ?? routed[0]!.keySet
  // The keys that a card's data go under do not change while a road is shut.
  const keySetFor = (question: RouteQuestion) => setOf(explainRoute(document, routed, question).order[0])
  const acquirers = createAcquirers(
    all.map((acquirer) => watched(acquirer, shut, clock)),
    (question) => {
      const { order } = explainRoute(document, routed, question, isAvailable)
      return question.bin === undefined ? order : order.filter((id) => setOf(id) === keySetFor(question))
    },
  )
  return { ...acquirers, keySetFor }
}
