// The contact transaction as Book 3's flow chart has it (EMV Book 3 v4.4, section 8.2, figure 6): one step a line.
import { erase } from '../../../hal/base/bytes.js'
import type { Random } from '../../../hal/base/clock.js'
import { TAG } from '../../../hal/base/tags.js'
import type { HostAnswer } from '../card-transaction.js'
import { type CardEnd, isEnd } from './card-end.js'
import { type CvmServices, cardholderVerification } from './cardholder-verification.js'
import { completeByHost, completeWithoutIssuer, type SecondResult } from './completion.js'
import type { EmvConfiguration } from './configuration.js'
import { floorLimitOf, type SelectionServices, selectAndInitiate } from './final-selection.js'
import { cardActionAnalysis, type FirstResult, firstCryptogram } from './first-cryptogram.js'
import { issuerAuthentication } from './issuer-authentication.js'
import { runIssuerScripts } from './issuer-scripts.js'
import { offlineDataAuthentication } from './offline-data-authentication.js'
import { pinEnciphermentKey } from './pin-encipherment-key.js'
import { processingRestrictions, TRANSACTION_TYPE } from './processing-restrictions.js'
import { readApplicationData } from './read-application-data.js'
import { refundReading } from './refund-reading.js'
import { setResponseCode } from './response-codes.js'
import { isHonoured, secondCryptogram } from './second-cryptogram.js'
import { terminalActionAnalysis } from './terminal-action-analysis.js'
import { setTransactionData, type TransactionRequest } from './terminal-data.js'
import { type RiskServices, terminalRiskManagement } from './terminal-risk-management.js'
import type { TransactionData } from './transaction-data.js'
import type { CardChannel } from './transport.js'

/** The people, keys and records beside the card. */
export interface TransactionServices extends SelectionServices {
  readonly random: Random
  readonly enterPin: CvmServices['enterPin']
  readonly encryptPin: CvmServices['encryptPin']
  /** What the terminal remembers of this card, for split sales and the exception file. */
  cardHistory(data: TransactionData): Promise<Pick<RiskServices, 'lastAmountOfCard' | 'onExceptionFile'>>
  readonly forceOnline: boolean
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
    if (request.type === TRANSACTION_TYPE.refund && application.refundEndsWithAac)
      return await refundReading(card, data, application, started.name)
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
    return await cardActionAnalysis(card, data, wanted, first, { ...context, cryptogramType, adviceRequired })
  } finally {
    // A copy of the signed records, PAN and track included.
    erase(records.odaRecords)
  }
}

/** From the issuer's answer to the end of the transaction (Book 3, 10.9 to 10.11; Book 4, 6.3.7 to 6.3.9). */
export async function completeTransaction(
  card: CardChannel,
  data: TransactionData,
  first: FirstResult,
  answer: HostAnswer,
): Promise<SecondResult | CardEnd> {
  // The card has given its last word (a refund's AAC, refund-reading.ts; a TC whose XDA failed, Book 4, 6.3.2.2.4): the
  // host's is all that is missing.
  if (first.cryptogramType !== 'ARQC') return completeByHost(data, first, answer)
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
  const approved = isHonoured(second)
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
