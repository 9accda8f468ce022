// Final selection: the cardholder's choice, SELECT, GET PROCESSING OPTIONS, and the next candidate where one won't do (EMV Book 1 v4.4, 12.4; Book 3, 10.1).
import { TAG } from '../../../hal/base/tags.js'
import { languages } from './application-name.js'
import { buildCandidateList, type SelectedApplication, selectApplication } from './application-selection.js'
import { type CandidateServices, cardholderSelectionRequired, chooseCandidate } from './candidate-choice.js'
import { type CardEnd, ends, isEnd } from './card-end.js'
import type { ApplicationConfiguration, EmvConfiguration } from './configuration.js'
import { initiateApplicationProcessing } from './initiate-application.js'
import { setApplicationData, type TransactionRequest } from './terminal-data.js'
import type { TransactionData } from './transaction-data.js'
import type { CardChannel } from './transport.js'

/** The cardholder's say in which application pays, and in which language. */
export interface SelectionServices extends CandidateServices {
  preferLanguages(codes: readonly string[]): void
}

/** Book 1, 12.4 and Book 3, 10.1: candidates in turn until one accepts GET PROCESSING OPTIONS. */
export async function selectAndInitiate(
  card: CardChannel,
  data: TransactionData,
  configuration: EmvConfiguration,
  request: TransactionRequest,
  services: SelectionServices,
): Promise<{ application: ApplicationConfiguration; name: string; pdolData: Uint8Array } | CardEnd> {
  const { additionalCapabilities } = configuration.terminal
  const list = await buildCandidateList(card, {
    applications: configuration.applications,
    additionalCapabilities,
  })
  if (isEnd(list)) return list
  services.preferLanguages(languages(list.languagePreference))
  let candidates = list.candidates
  let blocked = false
  let choiceFellOut = false
  // Each round removes a candidate, so that this ends with the list.
  while (candidates.length > 0) {
    const candidate = await chooseCandidate(candidates, services, choiceFellOut)
    if (isEnd(candidate)) return candidate
    choiceFellOut ||= cardholderSelectionRequired(candidates)
    candidates = candidates.filter((other) => other !== candidate)
    const selected = await selectApplication(card, candidate, additionalCapabilities)
    if (isEnd(selected)) return selected
    if (selected.kind === 'notSelected') {
      blocked ||= selected.blocked
      continue
    }
    services.preferLanguages(languages(selected.languagePreference))
    const { application } = candidate
    openApplication(data, selected, floorLimitOf(application, configuration, request))
    const initiated = await initiateApplicationProcessing(card, data)
    if (isEnd(initiated)) return initiated
    if (initiated.kind === 'conditionsNotSatisfied') continue
    return { application, name: selected.name, pdolData: initiated.pdolData }
  }
  // NOTE: Book 1, 12.4 leaves the words to us; a blocked application is told apart, as no stripe may stand in for it.
  return ends(blocked ? 'blocked' : 'notAccepted', 'no candidate is left')
}

/** A clean store with the FCI's data objects. NOTE: of objects that stand twice in an FCI the first counts. */
function openApplication(data: TransactionData, selected: SelectedApplication, floorLimit: bigint): void {
  data.clearCard()
  setApplicationData(data, selected.candidate.application, selected.dfName, floorLimit)
  data.addFromCard(TAG.DF_NAME, selected.dfName)
  for (const field of selected.fields) if (!field.children) data.addFromCard(field.tag, field.value)
}

/** The floor limit holds in the configuration's currency; in another every amount is above it. */
export function floorLimitOf(
  application: ApplicationConfiguration,
  configuration: EmvConfiguration,
  request: TransactionRequest,
): bigint {
  return request.amount.currency === configuration.terminal.currency ? application.floorLimit : 0n
}
