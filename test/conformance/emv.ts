// Handlers of emv/: the contact kernel, its data elements and its certificates against recorded cards and other kernels.
import { fromHex, toHex } from '../../hal/base/bytes.js'
import { sha1 } from '../../hal/base/ciphers.js'
import { isPosternError } from '../../hal/base/errors.js'
import { TAG } from '../../hal/base/tags.js'
import { encodeTlvList, parseTlv } from '../../hal/base/tlv.js'
import {
  buildCandidateList,
  type Candidate,
  cardholderSelectionRequired,
  selectApplication,
} from '../../runtime/secure/emv/application-selection.js'
import { checkAtr } from '../../runtime/secure/emv/atr.js'
import { caKeyChecksum } from '../../runtime/secure/emv/ca-keys.js'
import { isEnd } from '../../runtime/secure/emv/card-end.js'
import {
  type CertificateFields,
  recoverIccCertificate,
  recoverIssuerCertificate,
  verifyIccCertificate,
  verifyIssuerCertificate,
} from '../../runtime/secure/emv/certificates.js'
import { readRecord, select } from '../../runtime/secure/emv/commands.js'
import { emvConfiguration } from '../../runtime/secure/emv/configuration.js'
import { parseCvmList } from '../../runtime/secure/emv/cvm-list.js'
import { isCertificateExpired, isExpired, isNotYetEffective } from '../../runtime/secure/emv/dates.js'
import { buildDolData, dolDataLength, parseDol } from '../../runtime/secure/emv/dol.js'
import {
  combinedFields,
  recoverSignedDynamicData,
  verifySignedDynamicData,
} from '../../runtime/secure/emv/dynamic-data-authentication.js'
import { initiateApplicationProcessing } from '../../runtime/secure/emv/initiate-application.js'
import { processingRestrictions } from '../../runtime/secure/emv/processing-restrictions.js'
import { readApplicationData, readRecords } from '../../runtime/secure/emv/read-application-data.js'
import {
  recoverSignedStaticData,
  verifySignedStaticData,
} from '../../runtime/secure/emv/static-data-authentication.js'
import { terminalRiskManagement } from '../../runtime/secure/emv/terminal-risk-management.js'
import { fromUint } from '../../runtime/secure/emv/transaction-data.js'
import { applicationRow, dataOf, listOf, pairs, recordedCard, tagHex } from './emv-cards.js'
import { CONTACT_FLOWS } from './emv-flows.js'
import { check, type Handler, type Kind, passed, skipped, type Vector, type Verdict } from './vectors.js'

const CONTACTLESS = 'the contactless kernels (runtime/secure/emv/contactless)'
/** Everything that a terminal may announce in 9F40: all code tables. */
const ALL_CODE_TABLES = fromHex('FFFFFFFFFF')

/** Where a recorded outcome and the book disagree: the predicate decides, the clause says why. */
function deviation(verdict: Verdict, rules: readonly [applies: boolean, clause: string][]): Verdict {
  if (verdict.kind !== 'failed') return verdict
  const rule = rules.find(([applies]) => applies)
  return rule ? skipped(`the book is on our side: ${rule[1]}`) : verdict
}

/** Category indicators whose historical characters ISO/IEC 7816-4, 8.1 interprets. */
const ISO_CATEGORIES = new Set([0x00, 0x10, 0x80])

const atr: Handler = (vector) => {
  const verdict = checkAtr(fromHex(vector.atr))
  const refused = vector.expect.outcome === 'CARD_ERROR'
  return deviation(check(vector.expect.outcome, verdict.kind === 'emv' ? 'OK' : 'CARD_ERROR'), [
    [
      refused && verdict.kind === 'emv' && ISO_CATEGORIES.has(verdict.historical[0] ?? -1),
      'Book 1, 8.3.2: historical characters are not interpreted, whatever ISO/IEC 7816-4, 8.1 makes of them',
    ],
    [
      refused && verdict.kind === 'emv' && hasReservedVoltage(fromHex(vector.atr)),
      'Book 1, 8.3.3.2: TB1 of any value is accepted',
    ],
    [
      refused && verdict.kind === 'emv' && hasReservedRate(fromHex(vector.atr)),
      'Book 1, 8.3.3.1: outside specific mode TA1 is not used',
    ],
  ])
}

/** TB1 with a programming voltage that ISO/IEC 7816-3:1997 reserves: PI1 is 0 or 5 to 25. */
function hasReservedVoltage(bytes: Uint8Array): boolean {
  if ((bytes[1]! & 0x20) === 0) return false
  const tb1 = bytes[(bytes[1]! & 0x10) === 0 ? 2 : 3]!
  const pi1 = tb1 & 0x1f
  return tb1 !== 0 && (pi1 < 5 || pi1 > 25)
}

/** TA1 with a divisor Di that ISO/IEC 7816-3, table 8 reserves. */
function hasReservedRate(bytes: Uint8Array): boolean {
  return (bytes[1]! & 0x10) !== 0 && (bytes[2]! & 0x0f) > 9
}

const transport: Handler = async (vector) => {
  if (vector.mode === 'TPDU')
    return skipped(
      'T=0 procedure bytes: readers carry APDUs (hal/chip-card-reader), a TPDU driver will serve it',
    )
  const card = recordedCard(vector.exchanges)
  const command =
    vector.op === 'trx'
      ? fromHex(vector.capdu)
      : vector.op === 'select'
        ? select(fromHex(vector.dfName))
        : readRecord(vector.sfi, vector.record)
  const answer = await card.channel.exchange(command)
  if (isEnd(answer)) return check(vector.expect, answer)
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

const OUTCOME_OF_END: Readonly<Record<string, string>> = {
  blocked: 'CARD_BLOCKED',
  notAccepted: 'NOT_ACCEPTED',
  cardError: 'CARD_ERROR',
}

const candidateList: Handler = async (vector) => {
  const card = recordedCard(vector.exchanges)
  const applications = (vector.config?.supportedApps ?? vector.supportedApps).map(applicationRow)
  const list = await buildCandidateList(card.channel, {
    applications,
    additionalCapabilities: ALL_CODE_TABLES,
  })
  const got = isEnd(list)
    ? { outcome: OUTCOME_OF_END[list.reason], candidates: [] }
    : { outcome: 'OK', candidates: candidateView(list.candidates) }
  const expected = {
    outcome: vector.expect.outcome,
    candidates: vector.expect.outcome === 'OK' ? expectedCandidates(vector.expect.candidates) : [],
  }
  return deviation(check([expected, [], 0], [got, card.unexpected, card.left()]), [
    [
      sameButForTies(expected.candidates, got.candidates),
      'Book 1, 12.4: among equal priorities the order is that in which the card gave them',
    ],
  ])
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
  if (!candidate)
    return skipped('our caller hands over a candidate, not an index: a wrong one cannot be expressed')
  const after = before.filter((other) => other !== candidate)
  const selected = await selectApplication(card.channel, candidate, ALL_CODE_TABLES)
  const outcome = isEnd(selected)
    ? OUTCOME_OF_END[selected.reason]
    : selected.kind === 'selected'
      ? 'OK'
      : after.length === 0
        ? 'NOT_ACCEPTED'
        : 'TRY_AGAIN'
  const ended = outcome === 'CARD_ERROR' || outcome === 'CARD_BLOCKED'
  const remaining = ended ? vector.expect.candidatesAfter : candidateView(after)
  return check(
    [vector.expect.outcome, ended ? remaining : expectedCandidates(vector.expect.candidatesAfter), []],
    [outcome, remaining, card.unexpected],
  )
}

const initiate: Handler = async (vector) => {
  const card = recordedCard(vector.exchanges)
  const data = dataOf(vector.given)
  for (const [tag, value] of pairs(vector.given.selectedApp[0].tlv)) data.addFromCard(tag, value)
  const result = await initiateApplicationProcessing(card.channel, data)
  if (isEnd(result)) return check([vector.expect.outcome, 0], ['CARD_ERROR', card.left()])
  if (result.kind === 'conditionsNotSatisfied') return check(vector.expect.outcome, 'GPO_NOT_ACCEPTED')
  const icc = data.cardTags().map((tag) => ({ t: tagHex(tag), v: toHex(data.card(tag)!) }))
  return check(
    [vector.expect.outcome, vector.expect.icc, vector.expect.pdolData, []],
    ['OK', icc, toHex(result.pdolData), card.unexpected],
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

const readAfl: Handler = async (vector) => {
  const card = recordedCard(vector.exchanges)
  const read = await readRecords(card.channel, fromHex(vector.afl))
  const { outcome } = vector.expect
  const answers: Uint8Array[] = vector.exchanges.map(({ r }: Vector) => fromHex(r.slice(0, -4)))
  const rules: [boolean, string][] = [
    [
      answers.some(isPadded),
      'Book 3, annex B1: 00 bytes before, between and after data objects have no meaning',
    ],
    [
      answers.some((data) => data[0] === TAG.RECORD && data.length > 2 && data[1] === 0),
      'Book 3, 6.5.11.4: a record is one template 70 and nothing after it',
    ],
    [
      answers.some((data) => toHex(data) === '7000'),
      'Book 3, 10.3: an empty template adds nothing to what is authenticated',
    ],
  ]
  if (isEnd(read)) return deviation(check(READ_ENDS.has(outcome), true), rules)
  const records = vector.expect.records.filter((row: Vector) => row.t !== '94')
  const primitive = listOf(read.objects.filter((item) => !item.children))
  if (/^ODA_RE(CORD_INVALID|SULT_14)/.test(outcome))
    return deviation(check([undefined, 0, []], [read.odaRecords, card.left(), card.unexpected]), rules)
  const odaRecords = read.odaRecords === undefined ? undefined : toHex(read.odaRecords)
  const got = [READ_ENDS.has(outcome) ? 'it went on' : outcome, primitive, odaRecords]
  return deviation(
    check(['OK', records, vector.expect.odaRecords ?? '', 0, []], [...got, card.left(), card.unexpected]),
    rules,
  )
}

/** True for data objects with 00 bytes around them. */
function isPadded(data: Uint8Array): boolean {
  try {
    return encodeTlvList(parseTlv(data)).length < data.length
  } catch {
    return false
  }
}

const readApplication: Handler = async (vector) => {
  const card = recordedCard(vector.exchanges)
  const data = dataOf(vector.given)
  const read = await readApplicationData(card.channel, data)
  if (isEnd(read)) return check(vector.expect.outcome, 'CARD_ERROR')
  const icc = data.cardTags().map((tag) => ({ t: tagHex(tag), v: toHex(data.card(tag)!) }))
  return check(
    [vector.expect.outcome, vector.expect.icc, vector.expect.odaRecords, []],
    ['OK', icc, read.odaRecords === undefined ? undefined : toHex(read.odaRecords), card.unexpected],
  )
}

const dol: Handler = (vector) => {
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
    default:
      return check(vector.expect, isExpired(today, date))
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
  const outcome = end ? OUTCOME_OF_END[end.reason] : 'OK'
  if (end || vector.expect.outcome !== 'OK')
    return deviation(check(vector.expect.outcome, outcome), [
      [
        vector.exchanges.some(({ c, r }: Vector) => r.startsWith(c.slice(4, 8)) && !/^9F(36|13)02/.test(r)),
        'Book 3, 7.5: a counter that is not two bytes long is wrongly formatted and ends the transaction',
      ],
    ])
  const { tvr, tsi } = vector.expect
  return check(
    [tvr, tsi, [], 0],
    [toHex(data.need(TAG.TVR)), toHex(data.need(TAG.TSI)), card.unexpected, card.left()],
  )
}

/** A certificate's recovered fields against those that the recorder had; its zeros are fields not yet known. */
function certificateVerdict(
  vector: Vector,
  fields: CertificateFields | undefined,
  subject: string,
  verify: (fields: CertificateFields) => object | string,
): Verdict {
  const { status, recovered } = vector.expect
  if (!fields) return check(status, 'not-recovered')
  const result = verify(fields)
  const got = {
    status: typeof result === 'string' ? 'recovered-not-validated' : 'valid',
    subject: toHex(fields.subject),
    expMMYY: toHex(fields.expires),
    serial: toHex(fields.serial),
    ...(typeof result === 'object' && { modulus: toHex((result as { modulus: Uint8Array }).modulus) }),
  }
  return check(
    {
      status,
      subject: recovered?.[subject],
      expMMYY: recovered?.expMMYY,
      serial: recovered?.serial,
      ...(status === 'valid' && { modulus: recovered?.modulus }),
    },
    got,
  )
}

const rsaKeyOf = (key: Vector) => ({ modulus: fromHex(key.modulus), exponent: fromHex(key.exponent) })

const odaRsa: Handler = (vector) => {
  const icc = new Map(pairs(vector.icc))
  const today = new Map(pairs(vector.params)).get(TAG.TRANSACTION_DATE)
  const pan = icc.get(TAG.PAN)
  switch (vector.op) {
    case 'issuerKey':
      return certificateVerdict(
        vector,
        recoverIssuerCertificate(rsaKeyOf(vector.capk), fromHex(vector.cert)),
        'issuerId',
        (fields) =>
          verifyIssuerCertificate(fields, {
            remainder: icc.get(TAG.ISSUER_REMAINDER),
            exponent: icc.get(TAG.ISSUER_EXPONENT),
            pan,
            today,
            isRevoked: () => false,
          }),
      )
    case 'iccKey':
      return certificateVerdict(
        vector,
        recoverIccCertificate(rsaKeyOf(vector.issuerKey), fromHex(vector.cert)),
        'pan',
        (fields) =>
          verifyIccCertificate(fields, {
            remainder: icc.get(TAG.ICC_REMAINDER),
            exponent: icc.get(TAG.ICC_EXPONENT),
            pan,
            today,
            staticData: fromHex(vector.odaRecords ?? ''),
          }),
      )
    case 'ssad': {
      const signed = recoverSignedStaticData(rsaKeyOf(vector.issuerKey), fromHex(vector.ssad))
      if (!signed) return check(vector.expect.status, 'not-recovered')
      const valid = verifySignedStaticData(signed, fromHex(vector.odaRecords ?? ''))
      return check(vector.expect, {
        status: valid ? 'valid' : 'recovered-not-validated',
        code: vector.expect.code,
        recovered: {
          dataAuthCode: toHex(signed.dataAuthenticationCode),
          hash: toHex(signed.recovered.hash),
        },
      })
    }
    default: {
      const signed = recoverSignedDynamicData(rsaKeyOf(vector.iccKey), fromHex(vector.sdad))
      if (!signed) return check(vector.expect.status, 'not-recovered')
      const combined = combinedFields(signed)
      return check(vector.expect, {
        status: verifySignedDynamicData(signed, fromHex(vector.signedTail))
          ? 'valid'
          : 'recovered-not-validated',
        code: vector.expect.code,
        recovered: {
          iccDynamicNumber: toHex(signed.iccDynamicNumber),
          cid: toHex(Uint8Array.of(combined?.cid ?? 0)),
          cryptogram: toHex(combined?.cryptogram ?? new Uint8Array(8)),
          txnDataHashCode: toHex(combined?.transactionDataHash ?? new Uint8Array(20)),
          hash: toHex(signed.recovered.hash),
        },
      })
    }
  }
}

/** A document with these CA keys and nothing else of interest. */
function documentWith(keys: readonly Vector[]) {
  return {
    terminal: {
      countryCode: '0276',
      currency: 'EUR',
      type: '22',
      capabilities: 'E0F8C8',
      additionalCapabilities: 'F000F0A001',
      pinBypass: false,
    },
    applications: [
      {
        aid: 'A000000003',
        partialSelection: true,
        version: '0001',
        tacDenial: '0000000000',
        tacOnline: 'FFFFFFFFFF',
        tacDefault: 'FFFFFFFFFF',
        floorLimit: '0',
      },
    ],
    caKeys: keys.map(({ rid, index, modulus, exponent, publishedSha1, sha1 }) => ({
      rid,
      index,
      modulus,
      exponent,
      sha1: publishedSha1 ?? sha1,
    })),
  }
}

/** Key, or the rule by which the configuration refuses it. */
function readKeys(keys: readonly Vector[]): { count: number } | { key: unknown; rule: unknown } {
  try {
    return { count: emvConfiguration(documentWith(keys)).caKeys.length }
  } catch (error) {
    if (!isPosternError(error, 'EMV_CONFIGURATION_INVALID')) throw error
    return { key: error.details['key'], rule: error.details['rule'] }
  }
}

const capk: Handler = (vector, file) => {
  const [rid, modulus, exponent] = [vector.rid, vector.modulus, vector.exponent].map(fromHex)
  const index = Number.parseInt(vector.index, 16)
  const computed = toHex(sha1(...caKeyChecksum({ rid: rid!, index, modulus: modulus!, exponent: exponent! })))
  if (computed !== vector.sha1) return check(vector.sha1, computed)
  const got = readKeys([vector])
  // Book 2, 11.1 and annex D: keys that no document may hold, whatever their checksum.
  const inBook = modulus!.length >= 64 && modulus!.length <= 248 && ['03', '010001'].includes(vector.exponent)
  if (!inBook)
    return 'count' in got
      ? check('refused', got)
      : skipped('the book is on our side: Book 2, 11.1: 248 bytes at most, exponent 3 or 65537; refused')
  if (vector.checksumOk === false) return 'count' in got ? check('refused', got) : check('sha1', got.key)
  if (!('count' in got)) return check('accepted', got)
  if (!vector.conflicting) return passed
  const others = file.vectors.filter(
    (other: Vector) => other.rid === vector.rid && other.index === vector.index,
  )
  const both = readKeys(others)
  return check(true, others.length > 1 && !('count' in both))
}

/** Handlers of the emv/ folder. */
export const EMV_KINDS: readonly Kind[] = [
  { kind: 'capk/capks', handler: capk },
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
  { kind: 'emv-utils/oda-rsa', handler: odaRsa },
  { kind: 'emv-utils/processing-restrictions', handler: restrictions },
  { kind: 'emv-utils/read-afl-records', handler: readAfl },
  { kind: 'emv-utils/read-application-data', handler: readApplication },
  { kind: 'emv-utils/selection-required', handler: selectionRequired },
  { kind: 'emv-utils/terminal-risk-management', handler: risk },
  { kind: 'emv-utils/transport', handler: transport },
]
