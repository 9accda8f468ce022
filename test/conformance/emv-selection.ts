// Handlers of the way to an application: answer to reset, transport, candidate list, final selection.
import { fromHex, toHex } from '../../hal/base/bytes.js'
import { TAG } from '../../hal/base/tags.js'
import {
  buildCandidateList,
  type Candidate,
  selectApplication,
} from '../../runtime/secure/emv/application-selection.js'
import { checkAtr } from '../../runtime/secure/emv/atr.js'
import { cardholderSelectionRequired, chooseCandidate } from '../../runtime/secure/emv/candidate-choice.js'
import { type CardEnd, isEnd } from '../../runtime/secure/emv/card-end.js'
import { getData, readRecord, select } from '../../runtime/secure/emv/commands.js'
import { applicationRow, listOf, recordedCard } from './emv-cards.js'
import { isRecorded, unlessDeviation } from './emv-deviations.js'
import { check, type Handler, type Kind, unknownVariant, type Vector } from './vectors.js'

/** Everything that a terminal may announce in 9F40: all code tables. */
const ALL_CODE_TABLES = fromHex('FFFFFFFFFF')

const atr: Handler = (vector, file) => {
  const got = checkAtr(fromHex(vector.atr)).kind === 'emv' ? 'OK' : 'CARD_ERROR'
  return unlessDeviation('atr', check(vector.expect.outcome, got), got, vector, file)
}

function commandOf(vector: Vector): Uint8Array | undefined {
  switch (vector.op) {
    case 'trx':
      return fromHex(vector.capdu)
    case 'select':
      return select(fromHex(vector.dfName))
    case 'selectNext':
      return select(fromHex(vector.dfName), true)
    case 'readRecord':
      return readRecord(vector.sfi, vector.record)
    case 'getData':
      return getData(Number.parseInt(vector.tag, 16))
    default:
      return undefined
  }
}

const transport: Handler = async (vector) => {
  if (vector.mode !== 'APDU' && vector.mode !== 'TPDU') return unknownVariant('mode', vector.mode)
  const command = commandOf(vector)
  if (!command) return unknownVariant('op', vector.op)
  const card = recordedCard(vector.exchanges, vector.mode === 'TPDU' ? 'tpdu' : undefined)
  const answer = await card.channel.exchange(command)
  const { error } = vector.expect
  if (isEnd(answer)) return check([error !== undefined, []], [true, card.unexpected])
  const sw = answer.sw.toString(16).toUpperCase()
  const data = toHex(answer.data)
  const got = vector.op === 'trx' ? { rapdu: data + sw, sw } : { data, sw }
  return check([vector.expect, [], 0], [got, card.unexpected, card.left()])
}

function candidateView(candidates: readonly Candidate[]) {
  return candidates.map(({ aid, name, priority, confirmationRequired }) => ({
    aid: toHex(aid),
    displayName: name,
    priority,
    confirmationRequired,
  }))
}

const expectedCandidates = (list: Vector[]) =>
  list.map(({ aid, displayName, priority, confirmationRequired }) => ({
    aid,
    displayName,
    priority,
    confirmationRequired,
  }))

type CandidateView = ReturnType<typeof candidateView>

/** The same candidates at the same priorities, those of one priority in another order. */
function sameButForTies(a: CandidateView, b: CandidateView): boolean {
  const sorted = (list: CandidateView) => list.map((row) => JSON.stringify(row)).sort()
  const priorities = (list: CandidateView) => JSON.stringify(list.map(({ priority }) => priority))
  return priorities(a) === priorities(b) && JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
}

/** The recorder's word for an end. A card whose applications are all blocked is for it one without any in common. */
export function outcomeOf({ reason, rule }: CardEnd): string {
  if (reason === 'blocked') return rule.startsWith('every application') ? 'NOT_ACCEPTED' : 'CARD_BLOCKED'
  return reason === 'notAccepted' ? 'NOT_ACCEPTED' : 'CARD_ERROR'
}

const candidateList: Handler = async (vector, file) => {
  const card = recordedCard(vector.exchanges)
  const applications = (vector.config?.supportedApps ?? vector.supportedApps).map(applicationRow)
  const list = await buildCandidateList(card.channel, {
    applications,
    additionalCapabilities: ALL_CODE_TABLES,
  })
  const got = isEnd(list)
    ? { outcome: outcomeOf(list), candidates: [] }
    : { outcome: 'OK', candidates: candidateView(list.candidates) }
  const expected = {
    outcome: vector.expect.outcome,
    candidates: vector.expect.outcome === 'OK' ? expectedCandidates(vector.expect.candidates) : [],
  }
  // Book 1, 12.4, step 4: applications of one priority stand in the card's order or in the terminal's own. Where nobody
  // asserted the one that was recorded, both are right.
  const same = isRecorded(file) && sameButForTies(expected.candidates, got.candidates)
  return check(
    [expected, [], 0],
    [same ? { ...got, candidates: expected.candidates } : got, card.unexpected, card.left()],
  )
}

function candidateOf(row: Vector): Candidate {
  return {
    aid: fromHex(row.aid),
    application: applicationRow({ aid: row.aid, asi: 0 }),
    name: row.displayName,
    priority: row.priority,
    confirmationRequired: row.confirmationRequired,
  }
}

const selectionRequired: Handler = (vector) =>
  check(
    vector.expect.cardholderSelectionRequired,
    cardholderSelectionRequired(vector.candidates.map(candidateOf)),
  )

const finalSelect: Handler = async (vector) => {
  const card = recordedCard(vector.exchanges)
  const before: Candidate[] = vector.candidatesBefore.map(candidateOf)
  const candidate = before[vector.index]
  if (!candidate) {
    // A choice that names none of the list selects nothing: the product's own caller hands over a candidate.
    const choice = await chooseCandidate(
      before,
      { chooseApplication: async () => vector.index, confirmApplication: async () => false },
      true,
    )
    const got = isEnd(choice) && choice.reason === 'cancelled' ? 'INVALID_PARAMETER' : choice
    return check(
      [vector.expect.outcome, expectedCandidates(vector.expect.candidatesAfter), 0],
      [got, candidateView(before), card.left()],
    )
  }
  const after = before.filter((other) => other !== candidate)
  const selected = await selectApplication(card.channel, candidate, ALL_CODE_TABLES)
  const outcome = isEnd(selected)
    ? outcomeOf(selected)
    : selected.kind === 'selected'
      ? 'OK'
      : after.length === 0
        ? 'NOT_ACCEPTED'
        : 'TRY_AGAIN'
  // Where the session ends nothing is selected any more, whatever is left of a list.
  const ended = isEnd(selected)
  const view = (list: Vector[]) => (ended ? [] : expectedCandidates(list))
  const wanted = vector.expect.selectedApp?.[0] ?? null
  return check(
    [vector.expect.outcome, view(vector.expect.candidatesAfter), wanted, [], 0],
    [outcome, ended ? [] : candidateView(after), selectedView(selected), card.unexpected, card.left()],
  )
}

/** The selected application as the recorder has it, data objects of the FCI included. */
function selectedView(selected: Awaited<ReturnType<typeof selectApplication>>) {
  if (isEnd(selected) || selected.kind === 'notSelected') return null
  const primitive = selected.fields.filter(({ children }) => children === undefined)
  const indicator = primitive.find(({ tag }) => tag === TAG.PRIORITY)?.value[0] ?? 0
  return {
    aid: toHex(selected.dfName),
    displayName: selected.name,
    priority: indicator & 0x0f,
    confirmationRequired: (indicator & 0x80) !== 0,
    tlv: [{ t: '84', v: toHex(selected.dfName) }, ...listOf(primitive)],
  }
}

export const SELECTION_KINDS: readonly Kind[] = [
  { kind: 'differential/atr', handler: atr },
  { kind: 'differential/candidate-list', handler: candidateList },
  { kind: 'emv-utils/atr', handler: atr },
  { kind: 'emv-utils/candidate-list', handler: candidateList },
  { kind: 'emv-utils/final-select', handler: finalSelect },
  { kind: 'emv-utils/selection-required', handler: selectionRequired },
  { kind: 'emv-utils/transport', handler: transport },
]
