// The first GENERATE AC and what the card's answer comes to (EMV Book 3 v4.4, 10.7 and 10.8; Book 4, 6.3.2).
import { TAG } from '../../../hal/base/tags.js'
import { type CardEnd, isEnd } from './card-end.js'
import type { CvmOutcome } from './cardholder-verification.js'
import type { CryptogramType } from './commands.js'
import type { ApplicationConfiguration } from './configuration.js'
import { type GeneratedCryptogram, generateCryptogram } from './generate-ac.js'
import type { OdaResult } from './offline-data-authentication.js'
import { RESPONSE_CODE, setResponseCode } from './response-codes.js'
import { isHonoured, secondCryptogram } from './second-cryptogram.js'
import { signatureRequest } from './signature-request.js'
import { actionCodeMatches, actionWithoutIssuer, onlineCapability } from './terminal-action-analysis.js'
import type { TransactionData } from './transaction-data.js'
import type { CardChannel } from './transport.js'

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

/** Asks for the cryptogram that terminal action analysis wants, with CDOL1's data. */
export function firstCryptogram(
  card: CardChannel,
  data: TransactionData,
  application: ApplicationConfiguration,
  oda: OdaResult,
  wanted: CryptogramType,
  pdolData: Uint8Array,
): Promise<GeneratedCryptogram | CardEnd> {
  if (wanted !== 'ARQC')
    setResponseCode(data, wanted === 'TC' ? RESPONSE_CODE.offlineApproved : RESPONSE_CODE.offlineDeclined)
  const step = { command: 'first', type: wanted, earlierDolData: [pdolData] } as const
  return generateCryptogram(card, data, {
    type: wanted,
    cdol: TAG.CDOL1,
    defaultTdol: application.tdol,
    ...signatureRequest(data, oda, step, application.cdaMode),
  })
}

/** Card action analysis seen from the terminal: online, approved or declined. */
export async function cardActionAnalysis(
  card: CardChannel,
  data: TransactionData,
  wanted: CryptogramType,
  first: GeneratedCryptogram,
  context: Omit<FirstResult, 'kind' | 'decision' | 'reason'>,
): Promise<FirstResult | CardEnd> {
  const declined = (reason: string, last: GeneratedCryptogram): FirstResult => {
    setResponseCode(data, RESPONSE_CODE.offlineDeclined)
    return {
      kind: 'first',
      decision: 'declined',
      reason,
      ...context,
      cryptogramType: last.type,
      adviceRequired: last.adviceRequired,
    }
  }
  if (first.type === 'AAC') return declined(wanted === 'AAC' ? 'terminal declined' : 'card declined', first)
  if (first.cdaFailed) {
    // An ARQC is still open: the card is told so; a TC is simply not honoured.
    if (first.type === 'ARQC') {
      const second = await secondCryptogram(card, data, context, 'AAC', RESPONSE_CODE.offlineDeclined)
      return isEnd(second) ? second : declined('CDA failed', second)
    }
    return declined('CDA failed', first)
  }
  if (first.xdaFailed) {
    // Book 4, 6.3.2.2.4: declined where an action code denies it; otherwise the issuer decides, be it on a TC.
    const online = onlineCapability(data.need(TAG.TERMINAL_TYPE)[0]!) !== 'offlineOnly'
    if (online && !actionCodeMatches('denial', data, context.application.tac))
      return { kind: 'first', decision: 'online', reason: '', ...context }
    if (first.type === 'ARQC') {
      const second = await secondCryptogram(card, data, context, 'AAC', RESPONSE_CODE.offlineDeclined)
      return isEnd(second) ? second : declined('XDA failed', second)
    }
    return declined('XDA failed', first)
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
    if (isHonoured(second))
      return {
        kind: 'first',
        decision: 'approved',
        reason: '',
        ...context,
        cryptogramType: 'TC',
        adviceRequired,
      }
    return declined('card wants the issuer, terminal has no line', second)
  }
  return { kind: 'first', decision: 'online', reason: '', ...context }
}
