// The issuer's scripts: templates 71 and 72 with commands under secure messaging (EMV Book 3, 10.10; Book 2, 9).
import { concat, fromHex } from '../../../hal/base/bytes.js'
import { encodeTlv } from '../../../hal/base/tlv.js'
import type { ApplicationProfile, CardProfile, ScriptCommandProfile } from './card-profile.js'
import type { IssuerKeys } from './issuer-keys.js'
import { cardMasterKeyB } from './key-derivation.js'
import { SCRIPT_INS, type ScriptContext, scriptCipherKey, scriptMac } from './script-security.js'
import { encipherCommandData, pinBlockFormat2 } from './secure-messaging.js'

const SECURE_CLASS = 0x84
const SECURE_CLASS_ISO = 0x04

/** Header and data of one command; data of a new PIN are enciphered. */
function commandOf(
  command: ScriptCommandProfile,
  cipherKey: Uint8Array,
): { header: Uint8Array; data: Uint8Array } {
  const none = new Uint8Array(0)
  switch (command.kind) {
    case 'blockApplication':
    case 'unblockApplication':
    case 'blockCard':
      return { header: Uint8Array.of(SECURE_CLASS, SCRIPT_INS[command.kind], 0, 0), data: none }
    case 'unblockPin':
      return { header: Uint8Array.of(SECURE_CLASS, SCRIPT_INS.changePin, 0, 0), data: none }
    case 'changePin':
      return {
        header: Uint8Array.of(SECURE_CLASS, SCRIPT_INS.changePin, 0, 2),
        data: encipherCommandData(cipherKey, pinBlockFormat2(command.pin), 'cbc'),
      }
    case 'putData':
      return {
        header: concat(Uint8Array.of(SECURE_CLASS_ISO, SCRIPT_INS.putData), fromHex(command.tag)),
        data: fromHex(command.value),
      }
  }
}

/** The scripts that a card's profile asks for with this answer; MACs chain over all commands in the order of sending. */
export function makeScripts(
  card: CardProfile,
  application: ApplicationProfile,
  context: ScriptContext,
  approved: boolean,
  keys: IssuerKeys,
): Uint8Array[] {
  const wanted = (card.issuer?.scripts ?? []).filter(
    ({ when }) => when === 'always' || (when === 'approved') === approved,
  )
  const cardKey = (key: Uint8Array) => cardMasterKeyB(key, application.pan, application.panSequence)
  const macKey = cardKey(keys.master.scriptMac)
  const cipherKey = scriptCipherKey(cardKey(keys.master.scriptCipher), context)
  let chain: Uint8Array | undefined
  // The terminal runs all of 71 before all of 72, so the chain does too.
  return [...wanted]
    .sort((a, b) => a.template.localeCompare(b.template))
    .map((script) => {
      const commands = script.commands.map((command) => {
        const { header, data } = commandOf(command, cipherKey)
        const mac = scriptMac(macKey, context, chain, header, data)
        chain = mac.slice()
        if (script.wrongMac) mac[0]! ^= 0x01
        return encodeTlv(0x86, concat(header, Uint8Array.of(data.length + mac.length), data, mac))
      })
      const identifier =
        script.identifier === undefined ? [] : [encodeTlv(0x9f18, fromHex(script.identifier))]
      return encodeTlv(Number.parseInt(script.template, 16), concat(...identifier, ...commands))
    })
}
