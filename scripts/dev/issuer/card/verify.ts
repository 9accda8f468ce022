// VERIFY (EMV Book 3, 6.5.12; Book 2, 7.2 and 13.3): offline PIN, plain or enciphered, and the PIN try counter.
import { equalBytes, erase } from '../../../../hal/base/bytes.js'
import { rsaPrivate } from '../../../../hal/base/ciphers.js'
import { type EcKeyPair, ecDecipher, ecSession } from '../ec-key.js'
import type { RsaKey } from '../rsa-key.js'
import { readPinBlockFormat2 } from '../secure-messaging.js'
import { type Command, type Response, SW, status } from './apdu.js'
import { type CardContext, current, type Transaction } from './session.js'

const PLAINTEXT = 0x80
const ENCIPHERED = 0x88
const ENCIPHERED_ECC = 0x8a
const ENCIPHERED_HEADER = 0x7f

/** VERIFY: 9000, 63Cx with the tries left, 6983 when none is. */
export function verify(context: CardContext, command: Command): Response {
  const found = current(context)
  if (found === undefined || found.transaction.stage !== 'initiated') return status(SW.conditions)
  const { application, transaction } = found
  // A challenge serves once, whatever becomes of this command.
  const challenge = context.session.challenge
  context.session.challenge = undefined
  const methods = application.profile.cvm.rules.map((rule) => rule.method)
  const offered = (start: string) => methods.some((method) => method.startsWith(start))
  let block: Uint8Array | undefined
  if (command.p1 === 0 && command.p2 === PLAINTEXT && offered('plaintextPin')) {
    if (command.data.length !== 8) return status(SW.wrongLength)
    block = command.data
  } else if (command.p1 === 0 && command.p2 === ENCIPHERED && application.pinKey !== undefined) {
    if (command.data.length !== application.pinKey.modulus.length) return status(SW.wrongLength)
    block = decipher(application.pinKey, command.data, challenge)
    // NOTE: Book 2, 7.2 step 5: what does not recover to a PIN and this challenge is no try, but an error.
    if (block === undefined) return status(SW.wrongData)
  } else if (command.p1 === 0 && command.p2 === ENCIPHERED_ECC && application.eccPinKey !== undefined) {
    block = decipherEcc(application.eccPinKey, transaction, command.data, challenge)
    // 13.3, steps 1 to 7.
    if (block === undefined) return status(SW.invalidated)
  } else {
    return status(SW.wrongParameters)
  }
  if (context.state.pinTries === 0) return status(SW.blocked)
  // The counter goes down before the PIN is compared, so that pulling the card wins no extra tries.
  context.state.pinTries--
  const right = readPinBlockFormat2(block) === context.state.pin
  erase(block)
  transaction.offlinePin = right ? 'passed' : 'failed'
  if (!right) return status(SW.tries | context.state.pinTries)
  context.state.pinTries = context.card.profile.pinTryLimit
  return status(SW.ok)
}

function decipher(key: RsaKey, data: Uint8Array, challenge: Uint8Array | undefined): Uint8Array | undefined {
  if (challenge === undefined || !below(data, key.modulus)) return undefined
  const clear = rsaPrivate(key.privateKey, data)
  return clear[0] === ENCIPHERED_HEADER && equalBytes(clear.subarray(9, 17), challenge)
    ? clear.slice(1, 9)
    : undefined
}

function decipherEcc(
  key: EcKeyPair,
  transaction: Transaction,
  data: Uint8Array,
  challenge: Uint8Array | undefined,
): Uint8Array | undefined {
  if (challenge === undefined || data.length < key.x.length + 8) return undefined
  transaction.ecSession ??= ecSession(key, data, challenge)
  const clear = transaction.ecSession && ecDecipher(key, transaction.ecSession, data)
  return clear?.length === 17 && equalBytes(clear.subarray(9), challenge) && clear[0] === ENCIPHERED_HEADER
    ? clear.slice(1, 9)
    : undefined
}

function below(number: Uint8Array, modulus: Uint8Array): boolean {
  const at = number.findIndex((byte, i) => byte !== modulus[i])
  return at >= 0 && number[at]! < modulus[at]!
}
