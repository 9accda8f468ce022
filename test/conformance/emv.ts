// Handlers of emv/: the contact kernel, its data elements and its certificates against recorded cards and other kernels.
import { fromHex, toHex } from '../../hal/base/bytes.js'
import { isPosternError } from '../../hal/base/errors.js'
import { TAG } from '../../hal/base/tags.js'
import { isEnd } from '../../runtime/secure/emv/card-end.js'
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
import { unlessDeviation } from './emv-deviations.js'
import { CONTACT_FLOWS } from './emv-flows.js'
import { EMV_KEYS } from './emv-keys.js'
import { outcomeOf, SELECTION_KINDS } from './emv-selection.js'
import { check, type Handler, type Kind, unknownVariant, type Vector } from './vectors.js'

const CONTACTLESS = 'the contactless kernels (runtime/secure/emv/contactless)'

const initiate: Handler = async (vector) => {
  const card = recordedCard(vector.exchanges)
  const data = dataOf(vector.given)
  const [selected] = vector.given.selectedApp
  const drawn = new Map(pairs(vector.expect.terminal ?? [])).get(TAG.UNPREDICTABLE_NUMBER)
  if (drawn) data.set(TAG.UNPREDICTABLE_NUMBER, drawn)
  if (vector.posEntryMode !== undefined) data.set(TAG.POS_ENTRY_MODE, Uint8Array.of(vector.posEntryMode))
  const floorLimit = BigInt(fromUint(data.get(TAG.FLOOR_LIMIT) ?? new Uint8Array()))
  setApplicationData(data, applicationRow({ aid: selected.aid, asi: 0 }), fromHex(selected.aid), floorLimit)
  for (const [tag, value] of pairs(selected.tlv)) data.addFromCard(tag, value)
  const result = await initiateApplicationProcessing(card.channel, data)
  if (isEnd(result)) return check([vector.expect.outcome, 0], ['CARD_ERROR', card.left()])
  if (result.kind === 'conditionsNotSatisfied') return check(vector.expect.outcome, 'GPO_NOT_ACCEPTED')
  const icc = data.cardTags().map((tag) => ({ t: tagHex(tag), v: toHex(data.card(tag)!) }))
  const expected: Vector[] = vector.expect.terminal ?? []
  const terminal = expected.map(({ t }) => ({
    t,
    v: toHex(data.get(Number.parseInt(t, 16)) ?? new Uint8Array()),
  }))
  return check(
    [vector.expect.outcome, vector.expect.icc, expected, vector.expect.pdolData, [], 0],
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

const restrictions: Handler = (vector, file) => {
  const data = dataOf(vector.given)
  processingRestrictions(data)
  const { outcome, tvr } = vector.expect
  const got = toHex(data.need(TAG.TVR))
  const verdict = check([outcome, tvr], [outcome === undefined ? undefined : 'OK', got])
  return unlessDeviation('processing-restrictions', verdict, got, vector, file)
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
  ...SELECTION_KINDS,
  ...CONTACT_FLOWS,
  { kind: 'contactless-entry-point/*', servedBy: CONTACTLESS },
  { kind: 'contactless-kernels/*', servedBy: CONTACTLESS },
  { kind: 'differential/dol', handler: dol },
  { kind: 'differential/processing-restrictions', handler: restrictions },
  { kind: 'differential/read-afl-records', handler: readAfl },
  { kind: 'differential/terminal-risk-management', handler: risk },
  { kind: 'emv-utils/cvm-list-parse', handler: cvmList },
  { kind: 'emv-utils/dates', handler: dates },
  { kind: 'emv-utils/dol', handler: dol },
  { kind: 'emv-utils/initiate-application', handler: initiate },
  { kind: 'emv-utils/processing-restrictions', handler: restrictions },
  { kind: 'emv-utils/read-afl-records', handler: readAfl },
  { kind: 'emv-utils/read-application-data', handler: readApplication },
  { kind: 'emv-utils/terminal-risk-management', handler: risk },
]
