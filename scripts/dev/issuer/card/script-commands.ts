// Issuer script commands under secure messaging (EMV Book 3, 6.5.1, .2, .3, .10 and 10.10; Book 2, 9).
import { equalBytes, erase, toHex } from '../../../../hal/base/bytes.js'
import { decryptCbc, unpadMethod2 } from '../../../../hal/base/ciphers.js'
import { SCRIPT_INS, scriptCipherKey, scriptMac } from '../script-security.js'
import { readPinBlockFormat2 } from '../secure-messaging.js'
import { type Command, type Response, SW, status } from './apdu.js'
import { type CardContext, current } from './session.js'

/** Data objects that PUT DATA may change: consecutive limits (9F14, 9F23) and a free one (9F58). */
const WRITABLE: readonly number[] = [0x9f14, 0x9f23, 0x9f58]
const MAC_BYTES = 8

/** Runs a script command after its MAC was found right: 9000, 6987 and 6988 for a missing or wrong MAC. */
export function scriptCommand(context: CardContext, command: Command): Response {
  const found = current(context)
  if (found?.transaction.arqc === undefined) return status(SW.conditions)
  const { application, state, transaction } = found
  const fail = (sw: number) => {
    state.scriptFailed = true
    return status(sw)
  }
  if (command.data.length < MAC_BYTES) return fail(SW.macMissing)
  const clear = command.data.slice(0, -MAC_BYTES)
  const parts = {
    version: application.profile.cryptogramVersion,
    atc: state.atc,
    arqc: transaction.arqc!,
  }
  const mac = scriptMac(application.keys.scriptMac, parts, transaction.scriptChain, command.header, clear)
  if (!equalBytes(mac, command.data.subarray(-MAC_BYTES))) return fail(SW.macWrong)
  transaction.scriptChain = mac
  transaction.scriptCommands++
  switch (command.ins) {
    case SCRIPT_INS.blockApplication:
      state.blocked = true
      return status(SW.ok)
    case SCRIPT_INS.unblockApplication:
      state.blocked = false
      return status(SW.ok)
    case SCRIPT_INS.blockCard:
      context.state.cardBlocked = true
      return status(SW.ok)
    case SCRIPT_INS.putData: {
      const tag = command.p1 * 256 + command.p2
      if (!WRITABLE.includes(tag)) return fail(SW.dataNotFound)
      if (clear.length === 0 || clear.length > 32) return fail(SW.wrongLength)
      state.data[tag.toString(16).toUpperCase()] = toHex(clear)
      return status(SW.ok)
    }
    case SCRIPT_INS.changePin: {
      if (command.p2 === 0x02) {
        const pin = newPin(scriptCipherKey(application.keys.scriptCipher, parts), clear)
        if (pin === undefined) return fail(SW.wrongData)
        context.state.pin = pin
      } else if (command.p2 !== 0) {
        return fail(SW.wrongParameters)
      }
      context.state.pinTries = context.card.profile.pinTryLimit
      return status(SW.ok)
    }
    default:
      return fail(SW.unknownInstruction)
  }
}

/** The new PIN of an enciphered format 2 block; undefined where it does not read as one. */
function newPin(key: Uint8Array, data: Uint8Array): string | undefined {
  if (data.length !== 16) return undefined
  const padded = decryptCbc('tdes', key, new Uint8Array(8), data)
  try {
    return readPinBlockFormat2(unpadMethod2(padded))
  } catch {
    return undefined
  } finally {
    erase(padded)
  }
}
