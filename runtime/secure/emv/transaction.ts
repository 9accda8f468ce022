// The contact transaction as Book 3's flow chart has it (EMV Book 3 v4.4, section 8 and figure 7): one step a line.
import { ascii, erase } from '../../../hal/base/bytes.js'
import type { Random } from '../../../hal/base/clock.js'
import { TAG } from '../../../hal/base/tags.js'
import type { HostAnswer } from '../card-transaction.js'
import { languages } from './application-name.js'
import {
  buildCandidateList,
  type Candidate,
  cardholderSelectionRequired,
  type SelectedApplication,
  selectApplication,
} from './application-selection.js'
import { type CardEnd, ends, isEnd } from './card-end.js'
import { type CvmOutcome, type CvmServices, cardholderVerification } from './cardholder-verification.js'
import { CRYPTOGRAM, type CryptogramType } from './commands.js'
import type { ApplicationConfiguration, EmvConfiguration } from './configuration.js'
import { type GeneratedCryptogram, generateCryptogram } from './generate-ac.js'
import { initiateApplicationProcessing } from './initiate-application.js'
import { issuerAuthentication } from './issuer-authentication.js'
import { runIssuerScripts } from './issuer-scripts.js'
import { type OdaResult, offlineDataAuthentication } from './offline-data-authentication.js'
import { pinEnciphermentKey } from './pin-encipherment-key.js'
import { processingRestrictions } from './processing-restrictions.js'
import { readApplicationData } from './read-application-data.js'
import { actionWithoutIssuer, onlineCapability, terminalActionAnalysis } from './terminal-action-analysis.js'
import { setApplicationData, setTransactionData, type TransactionRequest } from './terminal-data.js'
import { type RiskServices, terminalRiskManagement } from './terminal-risk-management.js'
import type { TransactionData } from './transaction-data.js'
import type { CardChannel } from './transport.js'

/** The people, keys and records beside the card. */
export interface TransactionServices {
  readonly random: Random
  /** Index of the cardholder's choice among the names, undefined on cancel. */
  chooseApplication(names: readonly string[]): Promise<number | undefined>
  confirmApplication(name: string): Promise<boolean>
  preferLanguages(codes: readonly string[]): void
  readonly enterPin: CvmServices['enterPin']
  readonly encryptPin: CvmServices['encryptPin']
  /** What the terminal remembers of this card, for split sales and the exception file. */
  cardHistory(data: TransactionData): Promise<Pick<RiskServices, 'lastAmountOfCard' | 'onExceptionFile'>>
  readonly forceOnline: boolean
}

/** The terminal's decision after the first GENERATE AC, and what the second needs. */
export interface FirstResult {
  readonly kind: 'first'
  readonly decision: 'online' | 'approved' | 'declined'
  /** Why, where declined: for logs and support. */
  readonly reason: string
  readonly application: ApplicationConfiguration
  readonly name: string
  readonly cvm: CvmOutcome
  readonly oda: OdaResult
  readonly cryptogramType: CryptogramType
  /** The issuer wants an advice (CID bit 4). */
  readonly adviceRequired: boolean
  /** Data of PDOL and CDOL1, for the CDA hash of the second GENERATE AC. */
  readonly dolData: readonly Uint8Array[]
}

/** From application selection to the first cryptogram. */
export async function transactToFirstCryptogram(
  card: CardChannel,
  data: TransactionData,
  configuration: EmvConfiguration,
  request: TransactionRequest,
  services: TransactionServices,
): Promise<FirstResult | CardEnd> {
  setTransactionData(data, request, configuration.terminal, services.random)
  const started = await selectAndInitiate(card, data, configuration, request, services)
  if (isEnd(started)) return started
  const { application, pdolData } = started
  const oda = { ...configuration, defaultDdol: application.ddol }
  const records = await readApplicationData(card, data)
  if (isEnd(records)) return records
  try {
    const authenticated = await offlineDataAuthentication(card, data, records.odaRecords, oda)
    if (isEnd(authenticated)) return authenticated
    processingRestrictions(data)
    const cvm = await cardholderVerification(card, data, {
      ...services,
      bypassAllowed: configuration.terminal.pinBypass,
      pinEnciphermentKey: () => pinEnciphermentKey(data, records.odaRecords, oda),
    })
    if (isEnd(cvm)) return cvm
    const risk = await terminalRiskManagement(
      card,
      data,
      request.amount.minor,
      { ...application, floorLimit: floorLimitOf(application, configuration, request) },
      { ...services, ...(await services.cardHistory(data)) },
    )
    if (isEnd(risk)) return risk
    const wanted = terminalActionAnalysis(data, application.tac)
    const first = await firstCryptogram(card, data, application, authenticated, wanted, pdolData)
    if (isEnd(first)) return first
    const dolData = [pdolData, first.dolData]
    const context = { application, name: started.name, cvm, oda: authenticated, dolData }
    const { type: cryptogramType, adviceRequired } = first
    return await decide(card, data, wanted, first, { ...context, cryptogramType, adviceRequired })
  } finally {
    // A copy of the signed records, PAN and track included.
    erase(records.odaRecords)
  }
}

/** Book 1, 12.4 and Book 3, 10.1: candidates in turn until one accepts GET PROCESSING OPTIONS. */
async function selectAndInitiate(
  card: CardChannel,
  data: TransactionData,
  configuration: EmvConfiguration,
  request: TransactionRequest,
  services: TransactionServices,
): Promise<{ application: ApplicationConfiguration; name: string; pdolData: Uint8Array } | CardEnd> {
  const { additionalCapabilities } = configuration.terminal
  const list = await buildCandidateList(card, {
    applications: configuration.applications,
    additionalCapabilities,
  })
  if (isEnd(list)) return list
  services.preferLanguages(languages(list.languagePreference))
  let candidates = list.candidates
  // Each round removes a candidate, so that this ends with the list.
  while (candidates.length > 0) {
    const candidate = await chooseCandidate(candidates, services)
    if (isEnd(candidate)) return candidate
    candidates = candidates.filter((other) => other !== candidate)
    const selected = await selectApplication(card, candidate, additionalCapabilities)
    if (isEnd(selected)) return selected
    if (selected.kind === 'notSelected') continue
    services.preferLanguages(languages(selected.languagePreference))
    const { application } = candidate
    openApplication(data, selected, floorLimitOf(application, configuration, request))
    const initiated = await initiateApplicationProcessing(card, data)
    if (isEnd(initiated)) return initiated
    if (initiated.kind === 'conditionsNotSatisfied') continue
    return { application, name: selected.name, pdolData: initiated.pdolData }
  }
  return ends('notAccepted', 'no candidate is left')
}

/** Book 1, 12.4: the only one by itself unless it asks for confirmation; otherwise the cardholder chooses. */
async function chooseCandidate(
  candidates: readonly Candidate[],
  services: TransactionServices,
): Promise<Candidate | CardEnd> {
  if (!cardholderSelectionRequired(candidates)) return candidates[0]!
  if (candidates.length === 1) {
    const only = candidates[0]!
    return (await services.confirmApplication(only.name))
      ? only
      : ends('cancelled', 'application not confirmed')
  }
  const index = await services.chooseApplication(candidates.map((candidate) => candidate.name))
  return (index === undefined ? undefined : candidates[index]) ?? ends('cancelled', 'no application chosen')
}

/** A clean store with the FCI's data objects. NOTE: of objects that stand twice in an FCI the first counts. */
function openApplication(data: TransactionData, selected: SelectedApplication, floorLimit: bigint): void {
  data.clearCard()
  setApplicationData(data, selected.candidate.application, selected.dfName, floorLimit)
  data.addFromCard(TAG.DF_NAME, selected.dfName)
  for (const field of selected.fields) if (!field.children) data.addFromCard(field.tag, field.value)
}

/** The floor limit holds in the configuration's currency; in another every amount is above it. */
function floorLimitOf(
  application: ApplicationConfiguration,
  configuration: EmvConfiguration,
  request: TransactionRequest,
): bigint {
  return request.amount.currency === configuration.terminal.currency ? application.floorLimit : 0n
}

/** Response codes of the terminal's own making (Book 4, annex A6). */
const RESPONSE_CODE = {
  offlineApproved: 'Y1',
  offlineDeclined: 'Z1',
  unableOnlineApproved: 'Y3',
  unableOnlineDeclined: 'Z3',
} as const

function setResponseCode(data: TransactionData, code: string): void {
  data.set(TAG.RESPONSE_CODE, ascii.encode(code))
}

function firstCryptogram(
  card: CardChannel,
  data: TransactionData,
  application: ApplicationConfiguration,
  oda: OdaResult,
  wanted: CryptogramType,
  pdolData: Uint8Array,
): Promise<GeneratedCryptogram | CardEnd> {
  if (wanted !== 'ARQC')
    setResponseCode(data, wanted === 'TC' ? RESPONSE_CODE.offlineApproved : RESPONSE_CODE.offlineDeclined)
  // NOTE: Book 3, 10.3 leaves CDA that was chosen and then not asked for unnamed; it is reported as not performed.
  if (oda.iccKey && oda.method === 'CDA' && wanted === 'AAC') data.raise('odaNotPerformed')
  return generateCryptogram(card, data, {
    type: wanted,
    cdol: TAG.CDOL1,
    defaultTdol: application.tdol,
    cda: cdaRequest(oda, [pdolData]),
  })
}

/** NOTE: CDA mode 1 (Book 4, 6.3.2.1): asked for with each ARQC and TC, first and second. */
function cdaRequest(oda: OdaResult, earlierDolData: readonly Uint8Array[]) {
  return oda.method === 'CDA' && oda.iccKey ? { key: oda.iccKey, earlierDolData } : undefined
}

/** Book 3, 10.8 and Book 2, 6.6.2: what the card's answer comes to. */
async function decide(
  card: CardChannel,
  data: TransactionData,
  wanted: CryptogramType,
  first: GeneratedCryptogram,
  context: Omit<FirstResult, 'kind' | 'decision' | 'reason'>,
): Promise<FirstResult | CardEnd> {
  const declined = (reason: string): FirstResult => {
    setResponseCode(data, RESPONSE_CODE.offlineDeclined)
    return {
      kind: 'first',
      decision: 'declined',
      reason,
      ...context,
      cryptogramType: cryptogramOf(data),
      adviceRequired: adviceRequiredBy(data),
    }
  }
  if (first.type === 'AAC') return declined(wanted === 'AAC' ? 'terminal declined' : 'card declined')
  if (first.cdaFailed) {
    // An ARQC is still open: the card is told so; a TC is simply not honoured.
    if (first.type === 'ARQC') {
      const second = await secondCryptogram(card, data, context, 'AAC', RESPONSE_CODE.offlineDeclined)
      if (isEnd(second)) return second
    }
    return declined('CDA failed')
  }
  if (first.type === 'TC') {
    setResponseCode(data, RESPONSE_CODE.offlineApproved)
    return { kind: 'first', decision: 'approved', reason: '', ...context }
  }
  if (onlineCapability(data.need(TAG.TERMINAL_TYPE)[0]!) === 'offlineOnly') {
    const final = actionWithoutIssuer(data, context.application.tac)
    const code = final === 'TC' ? RESPONSE_CODE.unableOnlineApproved : RESPONSE_CODE.unableOnlineDeclined
    const second = await secondCryptogram(card, data, context, final, code)
    if (isEnd(second)) return second
    const { adviceRequired } = second
    if (second.type === 'TC' && !second.cdaFailed)
      return {
        kind: 'first',
        decision: 'approved',
        reason: '',
        ...context,
        cryptogramType: 'TC',
        adviceRequired,
      }
    return declined('card wants the issuer, terminal has no line')
  }
  return { kind: 'first', decision: 'online', reason: '', ...context }
}

/** The type that the CID in the store tells. */
function cryptogramOf(data: TransactionData): CryptogramType {
  const bits = (data.card(TAG.CID)?.[0] ?? 0) & 0xc0
  return bits === CRYPTOGRAM.TC ? 'TC' : bits === CRYPTOGRAM.ARQC ? 'ARQC' : 'AAC'
}

/** Bit 4 of the CID in the store (Book 3, table 14). */
function adviceRequiredBy(data: TransactionData): boolean {
  return ((data.card(TAG.CID)?.[0] ?? 0) & 0x08) !== 0
}

function secondCryptogram(
  card: CardChannel,
  data: TransactionData,
  first: Pick<FirstResult, 'application' | 'oda' | 'dolData'>,
  wanted: 'TC' | 'AAC',
  responseCode: string,
): Promise<GeneratedCryptogram | CardEnd> {
  setResponseCode(data, responseCode)
  return generateCryptogram(card, data, {
    type: wanted,
    cdol: TAG.CDOL2,
    defaultTdol: first.application.tdol,
    cda: cdaRequest(first.oda, first.dolData),
  })
}

/** How the transaction ended with the card. */
export interface SecondResult {
  readonly kind: 'second'
  readonly approved: boolean
  /** True where no issuer was asked: an approval is the card's and the terminal's own (Y3). */
  readonly offline: boolean
  /** The issuer wants an advice (CID bit 4). */
  readonly adviceRequired: boolean
  /** True where the issuer had approved and the card did not. */
  readonly cardSaidNo: boolean
  readonly cryptogramType: CryptogramType
  /** Book 4, annex A5; empty without scripts. */
  readonly scriptResults: Uint8Array
}

/** From the issuer's answer to the end of the transaction (Book 3, 10.9 to 10.11; Book 4, 6.3.7 to 6.3.9). */
export async function completeTransaction(
  card: CardChannel,
  data: TransactionData,
  first: FirstResult,
  answer: HostAnswer,
): Promise<SecondResult | CardEnd> {
  if (answer.kind === 'unableToGoOnline')
    return completeWithoutIssuer(card, data, first, answer.decline === true)
  // Tag 91 has 8 to 16 bytes (Book 3, annex A1); a host's anything else is as good as none.
  const authenticationData = answer.issuerAuthenticationData
  if (authenticationData && authenticationData.length >= 8 && authenticationData.length <= 16)
    data.set(TAG.ISSUER_AUTHENTICATION_DATA, authenticationData)
  setResponseCode(data, answer.responseCode)
  const authentication = await issuerAuthentication(card, data)
  if (isEnd(authentication)) return authentication
  const before = await runIssuerScripts(card, data, answer.scripts, TAG.SCRIPT_71)
  if (before.end) return before.end
  const wanted = answer.approved ? 'TC' : 'AAC'
  const second = await secondCryptogram(card, data, first, wanted, answer.responseCode)
  if (isEnd(second)) return second
  const after = await runIssuerScripts(card, data, answer.scripts, TAG.SCRIPT_72)
  // The final cryptogram has been given: a card that leaves now changes nothing but the scripts' results.
  const approved = second.type === 'TC' && !second.cdaFailed
  return {
    kind: 'second',
    approved,
    offline: false,
    adviceRequired: second.adviceRequired,
    cardSaidNo: answer.approved && !approved,
    cryptogramType: second.type,
    scriptResults: Uint8Array.of(...before.results, ...after.results),
  }
}

/** Book 3, 10.7 and Book 4, 6.3.8: the default action codes decide. */
async function completeWithoutIssuer(
  card: CardChannel,
  data: TransactionData,
  first: FirstResult,
  decline: boolean,
): Promise<SecondResult | CardEnd> {
  const wanted = decline ? 'AAC' : actionWithoutIssuer(data, first.application.tac)
  const code = wanted === 'TC' ? RESPONSE_CODE.unableOnlineApproved : RESPONSE_CODE.unableOnlineDeclined
  const second = await secondCryptogram(card, data, first, wanted, code)
  if (isEnd(second)) return second
  const approved = second.type === 'TC' && !second.cdaFailed
  if (!approved) setResponseCode(data, RESPONSE_CODE.unableOnlineDeclined)
  return {
    kind: 'second',
    approved,
    offline: true,
    adviceRequired: second.adviceRequired,
    cardSaidNo: false,
    cryptogramType: second.type,
    scriptResults: new Uint8Array(),
  }
}
