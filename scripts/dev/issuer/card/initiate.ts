// GET PROCESSING OPTIONS and GET CHALLENGE (EMV Book 3, 6.5.8 and 6.5.6).
import { concat } from '../../../../hal/base/bytes.js'
import { encodeTlv } from '../../../../hal/base/tlv.js'
import { dolLength } from '../dol.js'
import { answer, type Command, type Response, SW, status } from './apdu.js'
import { type CardContext, current, freshTransaction } from './session.js'

const COMMAND_TEMPLATE = 0x83

/** GET PROCESSING OPTIONS: counts the transaction, answers AIP and AFL. */
export function getProcessingOptions(context: CardContext, command: Command): Response {
  const found = current(context)
  if (found === undefined || found.transaction.stage !== 'selected') return status(SW.conditions)
  const { application, state } = found
  const { data } = command
  if (data[0] !== COMMAND_TEMPLATE || data[1] === undefined || data[1] !== data.length - 2 || data[1] > 0x7f)
    return status(SW.wrongData)
  if (data[1] !== dolLength(application.pdol)) return status(SW.wrongLength)
  if (state.blocked || state.atc >= 0xffff) return status(SW.conditions)
  state.atc++
  context.session.transaction = { ...freshTransaction(), stage: 'initiated', pdolData: data.slice(2) }
  return answer(
    application.profile.responseFormat === 1
      ? encodeTlv(0x80, concat(application.aip, application.afl))
      : encodeTlv(0x77, concat(encodeTlv(0x82, application.aip), encodeTlv(0x94, application.afl))),
  )
}

/** GET CHALLENGE: 8 bytes, good for one VERIFY. */
export function getChallenge(context: CardContext, command: Command): Response {
  if (command.p1 !== 0 || command.p2 !== 0) return status(SW.wrongParameters)
  if (current(context) === undefined) return status(SW.conditions)
  context.session.challenge = context.random(8)
  return answer(context.session.challenge)
}
