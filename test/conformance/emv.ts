// Handlers of emv/: the contact kernel, its data elements and its certificates against recorded cards and other kernels.
import { fromHex, toHex } from '../../hal/base/bytes.js'
import { isPosternError } from '../../hal/base/errors.js'
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
import { parseCvmList } from '../../runtime/secure/emv/cvm-list.js'
import { isCertificateExpired, isExpired, isNotYetEffective } from '../../runtime/secure/emv/dates.js'
import { buildDolData, dolDataLength, parseDol } from '../../runtime/secure/emv/dol.js'
import { initiateApplicationProcessing } from '../../runtime/secure/emv/initiate-application.js'
import { processingRestrictions } from '../../runtime/secure/emv/processing-restrictions.js'
import { readApplicationData, readRecords } from '../../runtime/secure/emv/read-application-data.js'
import { setApplicationData } from '../../runtime/secure/emv/terminal-data.js'
import { terminalRiskManagement } from '../../runtime/secure/emv/terminal-risk-management.js'
import { fromUint } from '../../runtime/secure/emv/transaction-data.js'
import { applicationRow, dataOf, listOf, pairs, recordedCard, tagHex } from './emv-cards.js'
import { isRecorded, unlessDeviation } from './emv-deviations.js'
import { CONTACT_FLOWS } from './emv-flows.js'
import { EMV_KEYS } from './emv-keys.js'
import { check, type Handler, type Kind, unknownVariant, type Vector } from './vectors.js'

const CONTACTLESS = 'the contactless kernels (runtime/secure/emv/contactless)'
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
function outcomeOf({ reason, rule }: CardEnd): string {
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
  const wanted = vector.expect.selectedApp
  const chosen = 'kind' in selected && selected.kind === 'selected' ? toHex(selected.dfName) : null
  return check(
    [
      vector.expect.outcome,
      view(vector.expect.candidatesAfter),
      wanted?.aid ?? wanted?.[0]?.aid ?? null,
      [],
      0,
    ],
    [outcome, ended ? [] : candidateView(after), chosen, card.unexpected, card.left()],
  )
}

const initiate: Handler = async (vector) => {
  const card = recordedCard(vector.exchanges)
  const data = dataOf(vector.given)
  const [selected] = vector.given.selectedApp
  const drawn = new Map(pairs(vector.expect.terminal)).get(TAG.UNPREDICTABLE_NUMBER)
  if (drawn) data.set(TAG.UNPREDICTABLE_NUMBER, drawn)
  if (vector.posEntryMode !== undefined) data.set(TAG.POS_ENTRY_MODE, Uint8Array.of(vector.posEntryMode))
  const floorLimit = BigInt(fromUint(data.get(TAG.FLOOR_LIMIT) ?? new Uint8Array()))
  setApplicationData(data, applicationRow({ aid: selected.aid, asi: 0 }), fromHex(selected.aid), floorLimit)
  for (const [tag, value] of pairs(selected.tlv)) data.addFromCard(tag, value)
  const result = await initiateApplicationProcessing(card.channel, data)
  if (isEnd(result)) return check([vector.expect.outcome, 0], ['CARD_ERROR', card.left()])
  if (result.kind === 'conditionsNotSatisfied') return check(vector.expect.outcome, 'GPO_NOT_ACCEPTED')
  const icc = data.cardTags().map((tag) => ({ t: tagHex(tag), v: toHex(data.card(tag)!) }))
  const terminal = (vector.expect.terminal as Vector[]).map(({ t }) => ({
    t,
    v: toHex(data.get(Number.parseInt(t, 16)) ?? new Uint8Array()),
  }))
  return check(
    [vector.expect.outcome, vector.expect.icc, vector.expect.terminal, vector.expect.pdolData, [], 0],
    ['OK', icc, terminal, toHex(result.pdolData), card.unexpected, card.left()],
  )
}

/** Words of the recorder that all mean: the session ends here. */
const READ_ENDS = new Set([
  'CARD_ERROR',
  'AFL_INVALID',
  'READ_RECORD_FAILED',
  'READ_RECORD_INVALID',
  'READ_RECORD_PARSE_FAILED',
])

const readAfl: Handler = async (vector, file) => {
  const card = recordedCard(vector.exchanges)
  const read = await readRecords(card.channel, fromHex(vector.afl))
  const { outcome } = vector.expect
  const judge = (expected: unknown, got: unknown, outcomeGot: unknown) =>
    unlessDeviation('read-afl-records', check(expected, got), outcomeGot, vector, file)
  if (isEnd(read))
    return judge(
      [true, []],
      [READ_ENDS.has(outcome), card.unexpected],
      card.unexpected.length > 0 ? 'it went on' : 'ended',
    )
  if (READ_ENDS.has(outcome)) return judge(outcome, 'it went on', 'it went on')
  const records = vector.expect.records.filter((row: Vector) => row.t !== '94')
  const primitive = listOf(read.objects.filter((item) => !item.children))
  if (/^ODA_RE(CORD_INVALID|SULT_14)/.test(outcome))
    return judge(
      [undefined, records, 0, []],
      [read.odaRecords, primitive, card.left(), card.unexpected],
      'OK',
    )
  const odaRecords = read.odaRecords === undefined ? undefined : toHex(read.odaRecords)
  return judge(
    [outcome, records, vector.expect.odaRecords ?? '', 0, []],
    ['OK', primitive, odaRecords, card.left(), card.unexpected],
    'OK',
  )
}

const readApplication: Handler = async (vector) => {
  const card = recordedCard(vector.exchanges)
  const data = dataOf(vector.given)
  const read = await readApplicationData(card.channel, data)
  if (isEnd(read)) return check([vector.expect.outcome, []], ['CARD_ERROR', card.unexpected])
  const icc = data.cardTags().map((tag) => ({ t: tagHex(tag), v: toHex(data.card(tag)!) }))
  return check(
    [vector.expect.outcome, vector.expect.icc, vector.expect.odaRecords, [], 0],
    [
      'OK',
      icc,
      read.odaRecords === undefined ? undefined : toHex(read.odaRecords),
      card.unexpected,
      card.left(),
    ],
  )
}

const dol: Handler = (vector) => {
  if (vector.op !== undefined && vector.op !== 'length' && vector.op !== 'build')
    return unknownVariant('op', vector.op)
  const bytes = fromHex(vector.dol)
  const sources = (vector.sources ?? []).map((list: Vector) => new Map(pairs(list)))
  const lookUp = (tag: number): Uint8Array | undefined => {
    for (const source of sources) if (source.has(tag)) return source.get(tag)
    return undefined
  }
  const run = () =>
    vector.op === 'length'
      ? { length: dolDataLength(parseDol(bytes)) }
      : { data: toHex(buildDolData(bytes, lookUp)) }
  try {
    const got = run()
    return check(vector.expect, got)
  } catch (error) {
    if (!isPosternError(error, 'DOL_INVALID')) throw error
    return check(vector.expect.error === undefined ? vector.expect : true, true)
  }
}

const dates: Handler = (vector) => {
  const today = vector.txnDate ? fromHex(vector.txnDate.v) : undefined
  const date = vector.date ? fromHex(vector.date.v) : undefined
  switch (vector.op) {
    case 'certExpiredMMYY':
      return check(vector.expect, isCertificateExpired(today, vector.mmyy ? fromHex(vector.mmyy) : undefined))
    case 'notEffective':
      return check(vector.expect, isNotYetEffective(today, date))
    case 'expired':
      return check(vector.expect, isExpired(today, date))
    default:
      return unknownVariant('op', vector.op)
  }
}

const cvmList: Handler = (vector) => {
  const list = parseCvmList(fromHex(vector.cvmList))
  // A list without rules counts as none (Book 3, 10.5).
  if (list === 'malformed' || list.rules.length === 0) return check(vector.expect.error, true)
  const hex = (byte: number) => toHex(Uint8Array.of(byte))
  return check(vector.expect, {
    amountX: list.amountX,
    amountY: list.amountY,
    rules: list.rules.map(({ code, condition }) => ({ code: hex(code), condition: hex(condition) })),
  })
}

const restrictions: Handler = (vector) => {
  const data = dataOf(vector.given)
  processingRestrictions(data)
  return check(vector.expect.tvr, toHex(data.need(TAG.TVR)))
}

const risk: Handler = async (vector) => {
  const card = recordedCard(vector.exchanges)
  const data = dataOf(vector.given)
  const amount = BigInt(fromUint(data.need(TAG.AMOUNT_BINARY)))
  const pan = toHex(data.card(TAG.PAN) ?? new Uint8Array()).replace(/F+$/, '')
  const own = (vector.txnLog ?? []).filter((row: Vector) => pan !== '' && row.pan.replace(/F+$/, '') === pan)
  const end = await terminalRiskManagement(
    card.channel,
    data,
    amount,
    { floorLimit: BigInt(fromUint(data.need(TAG.FLOOR_LIMIT))), randomSelection: undefined },
    {
      random: (length) => new Uint8Array(length),
      lastAmountOfCard: BigInt(own.at(-1)?.amount ?? 0),
      onExceptionFile: false,
      forceOnline: false,
    },
  )
  const outcome = end ? outcomeOf(end) : 'OK'
  if (end || vector.expect.outcome !== 'OK')
    return check([vector.expect.outcome, []], [outcome, card.unexpected])
  const { tvr, tsi, icc } = vector.expect
  const got = data.cardTags().map((tag) => ({ t: tagHex(tag), v: toHex(data.card(tag)!) }))
  return check(
    [tvr, tsi, icc, [], 0],
    [
      toHex(data.need(TAG.TVR)),
      toHex(data.need(TAG.TSI)),
      icc === undefined ? undefined : got,
      card.unexpected,
      card.left(),
    ],
  )
}

/** Handlers of the emv/ folder. */
export const EMV_KINDS: readonly Kind[] = [
  ...EMV_KEYS,
  ...CONTACT_FLOWS,
  { kind: 'contactless-entry-point/*', servedBy: CONTACTLESS },
  { kind: 'contactless-kernels/*', servedBy: CONTACTLESS },
  { kind: 'differential/atr', handler: atr },
  { kind: 'differential/candidate-list', handler: candidateList },
  { kind: 'differential/dol', handler: dol },
  { kind: 'differential/processing-restrictions', handler: restrictions },
  { kind: 'differential/read-afl-records', handler: readAfl },
  { kind: 'differential/terminal-risk-management', handler: risk },
  { kind: 'emv-utils/atr', handler: atr },
  { kind: 'emv-utils/candidate-list', handler: candidateList },
  { kind: 'emv-utils/cvm-list-parse', handler: cvmList },
  { kind: 'emv-utils/dates', handler: dates },
  { kind: 'emv-utils/dol', handler: dol },
  { kind: 'emv-utils/final-select', handler: finalSelect },
  { kind: 'emv-utils/initiate-application', handler: initiate },
  { kind: 'emv-utils/processing-restrictions', handler: restrictions },
  { kind: 'emv-utils/read-afl-records', handler: readAfl },
  { kind: 'emv-utils/read-application-data', handler: readApplication },
  { kind: 'emv-utils/selection-required', handler: selectionRequired },
  { kind: 'emv-utils/terminal-risk-management', handler: risk },
  { kind: 'emv-utils/transport', handler: transport },
]
