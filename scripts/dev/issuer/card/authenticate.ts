// INTERNAL AUTHENTICATE (DDA, EMV Book 2, 6.5) and EXTERNAL AUTHENTICATE (issuer authentication, Book 3, 10.9).
import { concat } from '../../../../hal/base/bytes.js'
import { encodeTlv } from '../../../../hal/base/tlv.js'
import { padForSignature, signRecoverable } from '../certificates.js'
import { issuerApproves, verifyIssuerAuthentication } from '../cryptogram-data.js'
import type { PersonalisedApplication } from '../personalised-card.js'
import { answer, type Command, type Response, SW, status } from './apdu.js'
import { type CardContext, current } from './session.js'

/** Signed dynamic application data over the card's dynamic data and what the terminal adds (Book 2, tables 15 and 18). */
export function signDynamicData(
  application: PersonalisedApplication,
  dynamicData: Uint8Array,
  terminalData: Uint8Array,
): Uint8Array {
  const key = application.generalKey!
  const head = concat(Uint8Array.of(0x05, 0x01, dynamicData.length), dynamicData)
  const signed = signRecoverable(key, padForSignature(key, head), terminalData)
  if (application.profile.faults?.includes('dynamicSignature')) signed[signed.length - 1]! ^= 0x01
  return signed
}

/** INTERNAL AUTHENTICATE: signs the DDOL's data; before the first GENERATE AC only. */
export function internalAuthenticate(context: CardContext, command: Command): Response {
  const found = current(context)
  if (found?.application.generalKey === undefined || found.transaction.stage !== 'initiated')
    return status(SW.conditions)
  if (command.p1 !== 0 || command.p2 !== 0) return status(SW.wrongParameters)
  if (command.data.length < 4) return status(SW.wrongLength)
  const { application, transaction } = found
  transaction.dynamicAuthenticationDone = true
  const number = context.random(8)
  const signed = signDynamicData(application, concat(Uint8Array.of(number.length), number), command.data)
  return answer(
    application.profile.responseFormat === 1
      ? encodeTlv(0x80, signed)
      : encodeTlv(0x77, encodeTlv(0x9f4b, signed)),
  )
}

/** EXTERNAL AUTHENTICATE: checks the issuer's answer to the ARQC, once a transaction. */
export function externalAuthenticate(context: CardContext, command: Command): Response {
  const found = current(context)
  if (
    found === undefined ||
    found.application.profile.issuerAuthentication !== 'external' ||
    found.transaction.stage !== 'firstDone' ||
    found.transaction.issuerAuthentication !== 'notDone'
  )
    return status(SW.conditions)
  if (command.data.length < 8 || command.data.length > 16) return status(SW.wrongLength)
  const { application, state, transaction } = found
  const { arqc } = transaction
  if (arqc === undefined) return status(SW.conditions)
  const right = verifyIssuerAuthentication({
    version: application.profile.cryptogramVersion,
    cardKey: application.keys.cryptogram,
    atc: state.atc,
    arqc,
    data: command.data,
  })
  transaction.issuerAuthentication = right ? 'passed' : 'failed'
  transaction.issuerApproved = right && issuerApproves(application.profile.cryptogramVersion, command.data)
  return status(right ? SW.ok : SW.authenticationFailed)
}
