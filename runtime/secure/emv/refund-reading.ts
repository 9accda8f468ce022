// A refund that needs no more of the card than its number: the first GENERATE AC asks for an AAC, and the host decides.
// NOTE: EMV's books have no flow for refunds beside 9C 20 (Book 3, annex A1); schemes let the terminal end the card's part
// after reading. Nothing is authenticated or verified, as nothing is taken from the cardholder; the TVR says so.
import { fromHex } from '../../../hal/base/bytes.js'
import { TAG } from '../../../hal/base/tags.js'
import { type CardEnd, isEnd } from './card-end.js'
import type { ApplicationConfiguration } from './configuration.js'
import type { FirstResult } from './first-cryptogram.js'
import { generateCryptogram } from './generate-ac.js'
import { RESPONSE_CODE, setResponseCode } from './response-codes.js'
import type { TransactionData } from './transaction-data.js'
import type { CardChannel } from './transport.js'

/** CVM Results where no CVM was performed (Book 4, 6.3.4.5). */
const NO_CVM = fromHex('3F0000')

/** Ends the card's part: `online` with an AAC, after which the host's answer is the outcome. */
export async function refundReading(
  card: CardChannel,
  data: TransactionData,
  application: ApplicationConfiguration,
  name: string,
): Promise<FirstResult | CardEnd> {
  data.raise('odaNotPerformed')
  data.set(TAG.CVM_RESULTS, NO_CVM)
  setResponseCode(data, RESPONSE_CODE.offlineDeclined)
  const first = await generateCryptogram(card, data, {
    type: 'AAC',
    cdol: TAG.CDOL1,
    defaultTdol: application.tdol,
    cda: undefined,
  })
  if (isEnd(first)) return first
  return {
    kind: 'first',
    decision: 'online',
    reason: '',
    application,
    name,
    cvm: { kind: 'cvm', cvm: 'none', signatureRequired: false, pinBlock: undefined },
    oda: { kind: 'oda', method: 'none', iccKey: undefined, xdaKey: undefined, failure: undefined },
    cryptogramType: first.type,
    adviceRequired: first.adviceRequired,
    dolData: [],
  }
}
