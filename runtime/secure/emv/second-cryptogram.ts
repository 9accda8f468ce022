// The second GENERATE AC: TC or AAC, with the response code that led to it (EMV Book 3 v4.4, 9.3 and 10.8; Book 4, 6.3.8).
import { TAG } from '../../../hal/base/tags.js'
import type { CardEnd } from './card-end.js'
import { cdaRequest } from './cda-request.js'
import type { FirstResult } from './first-cryptogram.js'
import { type GeneratedCryptogram, generateCryptogram } from './generate-ac.js'
import { setResponseCode } from './response-codes.js'
import type { TransactionData } from './transaction-data.js'
import type { CardChannel } from './transport.js'

/** Asks for it with CDOL2's data. */
export function secondCryptogram(
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
