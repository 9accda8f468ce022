// The chip: answers to reset and to every command of a payment (EMV Book 3, 6.5), by a table of instructions.
import { ascii, concat } from '../../../hal/base/bytes.js'
import type { Random } from '../../../hal/base/clock.js'
import type { VirtualCard } from '../../../hal/simulated/virtual-card.js'
import { type Command, encodeResponse, parseCommand, type Response, SW, status } from './card/apdu.js'
import { externalAuthenticate, internalAuthenticate } from './card/authenticate.js'
import { type CardStateStore, completeState } from './card/card-state.js'
import { generateAc } from './card/generate-ac.js'
import { getChallenge, getProcessingOptions } from './card/initiate.js'
import { scriptCommand } from './card/script-commands.js'
import { getData, readRecord, select } from './card/select.js'
import { type CardContext, freshSession } from './card/session.js'
import { T0Transport } from './card/t0-transport.js'
import { verify } from './card/verify.js'
import type { PersonalisedCard } from './personalised-card.js'
import { SCRIPT_INS } from './script-security.js'

type Handler = (context: CardContext, command: Command) => Response

/** Class and instruction to what serves it (EMV Book 3, table 4). */
const COMMANDS: Readonly<Record<number, Handler>> = {
  [0x00a4]: select,
  [0x00b2]: readRecord,
  [0x80ca]: getData,
  [0x80a8]: getProcessingOptions,
  [0x0084]: getChallenge,
  [0x0020]: verify,
  [0x0088]: internalAuthenticate,
  [0x0082]: externalAuthenticate,
  [0x80ae]: generateAc,
  [0x8400 + SCRIPT_INS.blockCard]: scriptCommand,
  [0x8400 + SCRIPT_INS.unblockApplication]: scriptCommand,
  [0x8400 + SCRIPT_INS.blockApplication]: scriptCommand,
  [0x8400 + SCRIPT_INS.changePin]: scriptCommand,
  [0x0400 + SCRIPT_INS.putData]: scriptCommand,
}
const CLASSES = new Set([0x00, 0x04, 0x80, 0x84])

const HISTORICAL = ascii.encode('POSTERN1')

/** Basic answer to reset for T=0 or T=1 (EMV Book 1, 8.2, tables 8 and 9). */
export function answerToReset(transport: 'T=0' | 'T=1'): Uint8Array {
  if (transport === 'T=0')
    return concat(Uint8Array.of(0x3b, 0x60 | HISTORICAL.length, 0x00, 0x00), HISTORICAL)
  const body = concat(Uint8Array.of(0xe0 | HISTORICAL.length, 0x00, 0x00, 0x81, 0x31, 0xfe, 0x45), HISTORICAL)
  const check = body.reduce((sum, byte) => sum ^ byte, 0)
  return concat(Uint8Array.of(0x3b), body, Uint8Array.of(check))
}

/**
 * Puts a personalised card into a chip. What it remembers without power goes to `store` after each command.
 * @example const card = createCard(personalise(profile, ensureIssuerKeys(dir)), { store: memoryStore(), random: systemRandom })
 */
export function createCard(
  card: PersonalisedCard,
  options: { readonly store: CardStateStore; readonly random: Random },
): VirtualCard {
  const { id, transport } = card.profile
  const state = completeState(options.store.load(id), card.profile)
  let context: CardContext | undefined

  const run = (bytes: Uint8Array): Response => {
    const command = parseCommand(bytes)
    if (command === undefined || context === undefined) return status(SW.wrongLength)
    const before = JSON.stringify(state)
    const handler = COMMANDS[command.cla * 256 + command.ins]
    const response =
      handler?.(context, command) ??
      status(CLASSES.has(command.cla) ? SW.unknownInstruction : SW.unknownClass)
    if (JSON.stringify(state) !== before) options.store.save(id, state)
    return response
  }
  const t0 = new T0Transport(run)

  return {
    powerOn() {
      context = { card, state, session: freshSession(), random: options.random }
      t0.reset()
      return answerToReset(transport)
    },
    transmit(command) {
      if (context === undefined) return undefined
      return transport === 'T=0' ? t0.transmit(command) : encodeResponse(run(command))
    },
    powerOff() {
      context = undefined
    },
  }
}
