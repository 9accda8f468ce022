// How a transaction ends with the card, and its end without an issuer (EMV Book 3 v4.4, 10.7 and 10.11; Book 4, 6.3.8).
import type { HostAnswer } from '../card-transaction.js'
import { type CardEnd, isEnd } from './card-end.js'
import type { CryptogramType } from './commands.js'
import { xdaHasFailed } from './extended-data-authentication.js'
import type { FirstResult } from './first-cryptogram.js'
import { RESPONSE_CODE, setResponseCode } from './response-codes.js'
import { isHonoured, secondCryptogram } from './second-cryptogram.js'
import { actionWithoutIssuer } from './terminal-action-analysis.js'
import type { TransactionData } from './transaction-data.js'
import type { CardChannel } from './transport.js'

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

/** Book 3, 10.7 and Book 4, 6.3.8: the default action codes decide. */
export async function completeWithoutIssuer(
  card: CardChannel,
  data: TransactionData,
  first: FirstResult,
  decline: boolean,
): Promise<SecondResult | CardEnd> {
  // Book 4, 6.3.2.2.4: after a failed XDA nothing is approved without the issuer.
  const wanted = decline || xdaHasFailed(data) ? 'AAC' : actionWithoutIssuer(data, first.application.tac)
  const code = wanted === 'TC' ? RESPONSE_CODE.unableOnlineApproved : RESPONSE_CODE.unableOnlineDeclined
  const second = await secondCryptogram(card, data, first, wanted, code)
  if (isEnd(second)) return second
  const approved = isHonoured(second)
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

/** Where the first cryptogram was final already: no second GENERATE AC, and without an answer nothing is approved. */
export function completeByHost(data: TransactionData, first: FirstResult, answer: HostAnswer): SecondResult {
  const answered = answer.kind === 'answered'
  setResponseCode(data, answered ? answer.responseCode : RESPONSE_CODE.unableOnlineDeclined)
  return {
    kind: 'second',
    approved: answered && answer.approved,
    offline: !answered,
    adviceRequired: first.adviceRequired,
    cardSaidNo: false,
    cryptogramType: first.cryptogramType,
    scriptResults: new Uint8Array(),
  }
}
