// Who takes the payments, as the documents say: each acquirer's keys, its road over the bridge, and the rules between them.
import type { Clock, Random } from '../../hal/base/clock.js'
import { isPosternError } from '../../hal/base/errors.js'
import type { Log } from '../../hal/base/log.js'
import type { GatewayTransport } from '../bridge/gateway.js'
import type { Documents } from './documents.js'
import { createKeySets, type KeySets } from './keys/key-sets.js'
import type { KeyStore } from './keys/key-store.js'
import { routedCardKeys } from './keys/routed-card-keys.js'
import type { CardKeys, MacKeys } from './keys/terminal-keys.js'
import { createAcquirerClient } from './payments/acquirer-client.js'
import {
  type AcquirerEntry,
  AcquirersDocument,
  keyProfile,
  keySetOf,
  readAcquirersDocument,
} from './payments/acquirer-document.js'
import { acquirerLine } from './payments/acquirer-line.js'
import type { Acquirers, RouteQuestion } from './payments/acquirer-port.js'
import { routedAcquirers } from './payments/acquirers.js'
import type { Journal } from './payments/journal.js'
import { recordStray } from './payments/late-answers.js'
import {
  createNetworkManagement,
  managedAcquirer,
  type NetworkManagement,
  type NetworkNotice,
} from './payments/network-management.js'
import type { BridgePipes } from './payments/roads/bridge-pipe.js'
import { defaultRouting } from './payments/routing.js'
import { RoutingDocument, readRoutingDocument } from './payments/routing-document.js'

/** The acquirers of the documents, with their key sets open. */
export interface AcquirerKeys {
  readonly entries: readonly AcquirerEntry[]
  readonly keySets: KeySets
  /** Of an acquirer's key set, by the set's name. */
  of(keySet: string): CardKeys & MacKeys
  /** Of the first acquirer: card tokens are made with them, whoever takes the payment. */
  readonly own: CardKeys & MacKeys
}

/** @throws PosternError for a document that does not hold, or two acquirers that want one set by different profiles */
export async function openAcquirerKeys(
  documents: Documents,
  keyStore: KeyStore,
  random: Random,
): Promise<AcquirerKeys> {
  const entries = readAcquirersDocument(documents.read('acquirers', AcquirersDocument)).acquirers
  const keySets = createKeySets(keyStore, random)
  const open = new Map<string, CardKeys & MacKeys>()
  for (const entry of entries)
    open.set(keySetOf(entry), await keySets.open(keySetOf(entry), keyProfile(entry)))
  const of = (keySet: string) => open.get(keySet)!
  return { entries, keySets, of, own: of(keySetOf(entries[0]!)) }
}

/** The rules of the routing document; without one, the acquirers in their order. */
function readRouting(documents: Documents, entries: readonly AcquirerEntry[]): RoutingDocument {
  const ids = entries.map(({ id }) => id)
  try {
    return readRoutingDocument(documents.read('routing', RoutingDocument), ids)
  } catch (error) {
    if (isPosternError(error, 'DOCUMENT_MISSING')) return defaultRouting(ids)
    throw error
  }
}

export interface Acquiring {
  readonly acquirers: Acquirers
  readonly management: NetworkManagement
  /** Card keys of whoever will take what `paying` says is being paid with this card. */
  cardKeys(paying: () => Pick<RouteQuestion, 'kind' | 'amount'>): CardKeys
  close(): void
}

/** Connects them to their hosts by the roads of their documents; the open world carries the bytes. */
export function connectAcquirers(
  keys: AcquirerKeys,
  options: {
    readonly documents: Documents
    readonly dataDir: string
    readonly pipes: Pick<BridgePipes, 'open'>
    readonly gateway: GatewayTransport
    readonly journal: Journal
    readonly random: Random
    readonly clock: Clock
    readonly log: Log
    readonly onNotice: (notice: NetworkNotice, acquirer: string) => void
  },
): Acquiring {
  const { documents, dataDir, pipes, gateway, journal, random, clock, log, onNotice } = options
  const { entries } = keys
  const clients = entries.map((entry) =>
    createAcquirerClient({
      entry,
      line: acquirerLine({
        entry,
        dataDir,
        carrier: (host, port, signal) => pipes.open(host, port, signal),
        gateway,
        random,
        clock,
      }),
      keys: keys.of(keySetOf(entry)),
      clock,
      log,
      onStray: (stray) => recordStray(journal, log, stray),
      onAnswered: (responseCode) => management.heard(entry.id, responseCode),
    }),
  )
  const { keySets } = keys
  const management = createNetworkManagement({
    entries,
    acquirers: clients,
    keySets,
    journal,
    clock,
    log,
    onNotice,
  })
  const managed = clients.map((client) => managedAcquirer(client, management))
  const acquirers = routedAcquirers(managed, entries, readRouting(documents, entries), clock)
  return {
    acquirers,
    management,
    cardKeys: (paying) =>
      routedCardKeys(keys.own, (card) => keys.of(acquirers.keySetFor({ ...paying(), ...card }))),
    close() {
      for (const client of clients) client.close()
    },
  }
}
