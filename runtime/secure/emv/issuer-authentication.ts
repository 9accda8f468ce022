// Issuer authentication: EXTERNAL AUTHENTICATE where the AIP asks for it; otherwise tag 91 travels in CDOL2 (EMV Book 3 v4.4, 10.9).
import { TAG } from '../../../hal/base/tags.js'
import type { CardEnd } from './card-end.js'
import { externalAuthenticate, SW } from './commands.js'
import type { TransactionData } from './transaction-data.js'
import type { CardChannel } from './transport.js'
import { AIP, hasBit } from './verification-results.js'

/** Gives the issuer's answer to the card, once. Sets TVR and TSI; a refusal is for the second cryptogram to judge. */
export async function issuerAuthentication(
  card: CardChannel,
  data: TransactionData,
): Promise<CardEnd | undefined> {
  const authenticationData = data.get(TAG.ISSUER_AUTHENTICATION_DATA)
  if (!authenticationData || !hasBit(data.get(TAG.AIP), AIP.issuerAuthentication)) return undefined
  const answer = await card.exchange(externalAuthenticate(authenticationData))
  if (answer.kind === 'end') return answer
  data.performed('issuerAuthenticationPerformed')
  if (answer.sw !== SW.OK) data.raise('issuerAuthenticationFailed')
  return undefined
}
