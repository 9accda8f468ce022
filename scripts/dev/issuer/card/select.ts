// SELECT, READ RECORD and GET DATA (EMV Book 1, 11.3 and 12.3; Book 3, 6.5.7 and 6.5.11).
import { equalBytes, fromHex } from '../../../../hal/base/bytes.js'
import { encodeTlv } from '../../../../hal/base/tlv.js'
import { encodeDol } from '../dol.js'
import { PSE_NAME, recordId } from '../personalised-card.js'
import { answer, type Command, type Response, SW, status } from './apdu.js'
import { type CardContext, current, freshTransaction } from './session.js'
import { LOG_DOL } from './transaction-log.js'

const NEXT = 0x02

/** SELECT by name: first or next occurrence; a partial name finds every application that begins with it. */
export function select(context: CardContext, command: Command): Response {
  if (command.p1 !== 0x04 || (command.p2 !== 0 && command.p2 !== NEXT)) return status(SW.wrongParameters)
  if (context.state.cardBlocked) return status(SW.cardBlocked)
  const { session, card } = context
  if (command.data.length === 0) return status(SW.wrongLength)
  const name = command.data
  const next =
    command.p2 === NEXT && session.partialName !== undefined && equalBytes(session.partialName, name)
  if (command.p2 === NEXT && !next) return status(SW.notFound)
  if (!next && equalBytes(name, PSE_NAME)) {
    if (card.directory === undefined) return status(SW.notFound)
    session.selected = { kind: 'directory' }
    session.transaction = undefined
    return answer(card.directory.fci)
  }
  const from = next ? session.partialIndex : 0
  const index = card.applications.findIndex(
    ({ aid }, i) => i >= from && aid.length >= name.length && equalBytes(aid.subarray(0, name.length), name),
  )
  if (index < 0) return status(SW.notFound)
  session.selected = { kind: 'application', index }
  session.partialName = name
  session.partialIndex = index + 1
  session.transaction = freshTransaction()
  session.challenge = undefined
  const application = card.applications[index]!
  const blocked = context.state.applications[application.profile.aid]?.blocked
  return { data: application.fci, sw: blocked ? SW.deactivated : SW.ok }
}

/** READ RECORD by number in a file of the directory or of the selected application. */
export function readRecord(context: CardContext, command: Command): Response {
  const sfi = command.p2 >> 3
  if ((command.p2 & 0x07) !== 0x04 || sfi === 0 || sfi > 30 || command.p1 === 0)
    return status(SW.wrongParameters)
  const { selected } = context.session
  if (selected === undefined) return status(SW.conditions)
  const files =
    selected.kind === 'directory' ? context.card.directory : context.card.applications[selected.index]
  const record = files?.records.get(recordId(sfi, command.p1)) ?? logRecord(context, sfi, command.p1)
  if (record !== undefined) return answer(record)
  const known = [...(files?.records.keys() ?? [])].some((id) => id >> 8 === sfi)
  return status(known || sfi === 11 ? SW.recordNotFound : SW.notFound)
}

function logRecord(context: CardContext, sfi: number, record: number): Uint8Array | undefined {
  const entry = sfi === 11 ? current(context)?.state.log[record - 1] : undefined
  return entry === undefined ? undefined : fromHex(entry)
}

const two = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff)

/** GET DATA: ATC, last online ATC, PIN try counter, log format, and what scripts have put. */
export function getData(context: CardContext, command: Command): Response {
  const found = current(context)
  if (found === undefined) return status(SW.conditions)
  const tag = command.p1 * 256 + command.p2
  const { state, application } = found
  const byTag: Readonly<Record<number, Uint8Array | undefined>> = {
    [0x9f36]: two(state.atc),
    [0x9f13]: two(state.lastOnlineAtc),
    [0x9f17]: Uint8Array.of(context.state.pinTries),
    [0x9f4f]: encodeDol(LOG_DOL),
  }
  const put = state.data[tag.toString(16).toUpperCase()]
  const limits: Readonly<Record<number, number | undefined>> = {
    [0x9f14]: application.profile.risk.lowerOffline,
    [0x9f23]: application.profile.risk.upperOffline,
  }
  const limit = limits[tag]
  const value =
    put !== undefined
      ? fromHex(put)
      : (byTag[tag] ?? (limit === undefined ? undefined : Uint8Array.of(limit)))
  return value === undefined ? status(SW.dataNotFound) : answer(encodeTlv(tag, value))
}
