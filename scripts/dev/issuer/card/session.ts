// One card session: what a chip knows from reset to power-off, and what its commands are given to work with.
import type { Random } from '../../../../hal/base/clock.js'
import type { EcSession } from '../ec-key.js'
import type { PersonalisedApplication, PersonalisedCard } from '../personalised-card.js'
import type { ApplicationState, CardState } from './card-state.js'

/** Order of a transaction (EMV Book 3, 6.2): commands are refused out of it. */
export type Stage = 'selected' | 'initiated' | 'firstDone' | 'finalDone'

/** The transaction in a selected application. */
export interface Transaction {
  stage: Stage
  pdolData: Uint8Array
  cdol1Data: Uint8Array
  offlinePin: 'notTried' | 'passed' | 'failed'
  /** Keys of PINs enciphered with ECC, derived once a transaction. */
  ecSession: EcSession | undefined
  dynamicAuthenticationDone: boolean
  issuerAuthentication: 'notDone' | 'passed' | 'failed'
  /** What the authenticated answer said, whatever the terminal says it did. */
  issuerApproved: boolean
  /** Two bits of the CVR: what the first GENERATE AC answered. */
  firstCryptogramType: number
  /** The first GENERATE AC's cryptogram: what ARPC and script keys hang on. */
  arqc: Uint8Array | undefined
  /** The last script command's MAC, which the next one's begins with. */
  scriptChain: Uint8Array | undefined
  scriptCommands: number
}

/** Volatile state. */
export interface Session {
  selected:
    | { readonly kind: 'directory' }
    | { readonly kind: 'application'; readonly index: number }
    | undefined
  /** The last partial name and how many applications it has been through, for SELECT next. */
  partialName: Uint8Array | undefined
  partialIndex: number
  transaction: Transaction | undefined
  /** Given by GET CHALLENGE, good for the next VERIFY only. */
  challenge: Uint8Array | undefined
}

/** What a command works with. */
export interface CardContext {
  readonly card: PersonalisedCard
  readonly state: CardState
  readonly session: Session
  readonly random: Random
}

export const freshSession = (): Session => ({
  selected: undefined,
  partialName: undefined,
  partialIndex: 0,
  transaction: undefined,
  challenge: undefined,
})

export const freshTransaction = (): Transaction => ({
  stage: 'selected',
  pdolData: new Uint8Array(0),
  cdol1Data: new Uint8Array(0),
  offlinePin: 'notTried',
  ecSession: undefined,
  dynamicAuthenticationDone: false,
  issuerAuthentication: 'notDone',
  issuerApproved: false,
  firstCryptogramType: 0,
  arqc: undefined,
  scriptChain: undefined,
  scriptCommands: 0,
})

/** The selected application with its state and transaction, or undefined. */
export function current(
  context: CardContext,
): { application: PersonalisedApplication; state: ApplicationState; transaction: Transaction } | undefined {
  const { selected, transaction } = context.session
  if (selected?.kind !== 'application' || transaction === undefined) return undefined
  const application = context.card.applications[selected.index]
  const state = application && context.state.applications[application.profile.aid]
  return application && state && { application, state, transaction }
}
