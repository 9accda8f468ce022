// The second GENERATE AC: TC or AAC, with the response code that led to it (EMV Book 3 v4.4, 9.3 and 10.8; Book 4, 6.3.8).
import { TAG } from '../../../hal/base/tags.js'
import type { CardEnd } from './card-end.js'
import type { ApplicationConfiguration } from './configuration.js'
import { type GeneratedCryptogram, generateCryptogram } from './generate-ac.js'
import type { OdaResult } from './offline-data-authentication.js'
import { RESPONSE_CODE, setResponseCode } from './response-codes.js'
import { signatureRequest } from './signature-request.js'
import type { TransactionData } from './transaction-data.js'
import type { CardChannel } from './transport.js'

/** What the second command needs of the first. */
export interface FirstStep {
  readonly application: ApplicationConfiguration
  readonly oda: OdaResult
  /** Data of PDOL and CDOL1. */
  readonly dolData: readonly Uint8Array[]
}

/** Asks for it with CDOL2's data. */
export function secondCryptogram(
  card: CardChannel,
  data: TransactionData,
  first: FirstStep,
  wanted: 'TC' | 'AAC',
  responseCode: string,
): Promise<GeneratedCryptogram | CardEnd> {
  setResponseCode(data, responseCode)
  const unableToGoOnline =
    responseCode === RESPONSE_CODE.unableOnlineApproved || responseCode === RESPONSE_CODE.unableOnlineDeclined
  const step = { command: 'second', type: wanted, unableToGoOnline, earlierDolData: first.dolData } as const
  return generateCryptogram(card, data, {
    type: wanted,
    cdol: TAG.CDOL2,
    defaultTdol: first.application.tdol,
    ...signatureRequest(data, first.oda, step, first.application.cdaMode),
  })
}

/** A TC whose signature, where one was asked for and is verified, holds (Book 4, 6.3.2). */
export function isHonoured(second: GeneratedCryptogram): boolean {
  return second.type === 'TC' && !second.cdaFailed && !second.xdaFailed
}
