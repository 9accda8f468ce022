// Replays one application of a transcript against the kernel's steps, with the recorded terminal's inputs, and says where the kernel goes another way.
import { fromHex, toHex } from '../../hal/base/bytes.js'
import { TAG } from '../../hal/base/tags.js'
import { tagName } from '../../hal/base/tlv.js'
import {
  buildCandidateList,
  type SelectedApplication,
  selectApplication,
} from '../../runtime/secure/emv/application-selection.js'
import type { CaKey } from '../../runtime/secure/emv/ca-keys.js'
import { type CardEnd, isEnd } from '../../runtime/secure/emv/card-end.js'
import { cardholderVerification } from '../../runtime/secure/emv/cardholder-verification.js'
import { CRYPTOGRAM, type CryptogramType } from '../../runtime/secure/emv/commands.js'
import {
  cardActionAnalysis,
  type FirstResult,
  firstCryptogram,
} from '../../runtime/secure/emv/first-cryptogram.js'
import { initiateApplicationProcessing } from '../../runtime/secure/emv/initiate-application.js'
import {
  type OdaResult,
  offlineDataAuthentication,
} from '../../runtime/secure/emv/offline-data-authentication.js'
import { processingRestrictions } from '../../runtime/secure/emv/processing-restrictions.js'
import { type RecordsRead, readApplicationData } from '../../runtime/secure/emv/read-application-data.js'
import { setApplicationData, setTransactionData } from '../../runtime/secure/emv/terminal-data.js'
import { terminalRiskManagement } from '../../runtime/secure/emv/terminal-risk-management.js'
import { completeTransaction } from '../../runtime/secure/emv/transaction.js'
import { TransactionData } from '../../runtime/secure/emv/transaction-data.js'
import type { CardChannel } from '../../runtime/secure/emv/transport.js'
import {
  applicationRow,
  dataField,
  dolFields,
  type Exchange,
  flatten,
  plainServices,
  plainTerminal,
} from './emv-cards.js'
import { bagOf, inputsOf, PSE, SELECT, selectedInFull } from './emv-recording.js'

/** Tags that the kernel computes; everything else of a recorded list is an input. */
const RESULTS: ReadonlySet<number> = new Set([
  TAG.TVR,
  TAG.TSI,
  TAG.CVM_RESULTS,
  TAG.RESPONSE_CODE,
  TAG.ISSUER_AUTHENTICATION_DATA,
])

/** The kernel's candidate list over a recorded payment system environment, against the directory that was read; undefined without one. */
export async function directoryFaults(exchanges: readonly Exchange[]): Promise<string[]> {
  const pse = exchanges.find(({ c }) => c !== null && toHex(dataField(c)) === PSE && c.startsWith(SELECT))
  if (!pse?.r?.endsWith('9000')) return []
  const listed = exchanges
    .flatMap(({ r }) => flatten((r ?? '').slice(0, -4)))
    .filter(({ tag }) => tag === TAG.ADF_NAME)
    .map(({ value }) => toHex(value))
  const list = await buildCandidateList(bagOf(exchanges).channel, {
    applications: listed.map((aid) => applicationRow({ aid, asi: 0 })),
    additionalCapabilities: fromHex('FFFFFFFFFF'),
  })
  const got = isEnd(list) ? [list.rule] : list.candidates.map(({ aid }) => toHex(aid))
  return got.join() === listed.join() ? [] : [`candidates ${got.join()} instead of ${listed.join()}`]
}

/** Where the kernel stopped, what it came to, and what it sent otherwise. */
export interface Replay {
  readonly reached: 'selection' | 'initiation' | 'records' | 'first cryptogram' | 'second cryptogram'
  readonly end: CardEnd | string | undefined
  readonly selected: SelectedApplication | undefined
  readonly data: TransactionData
  readonly oda: OdaResult | undefined
  /** Lists that we filled otherwise: GENERATE AC by field. */
  readonly differences: readonly string[]
  readonly unrecorded: readonly string[]
  readonly left: readonly string[]
}

const APPROVED = '00'

export async function replay(recording: readonly Exchange[], caKeys: readonly CaKey[]): Promise<Replay> {
  const exchanges = selectedInFull(recording)
  const bag = bagOf(exchanges)
  const data = new TransactionData()
  const state: { -readonly [K in keyof Replay]: Replay[K] } = {
    reached: 'selection',
    end: undefined,
    selected: undefined,
    data,
    oda: undefined,
    differences: [],
    unrecorded: bag.unrecorded,
    left: [],
  }
  const recorded = inputsOf(exchanges)
  state.end = await run(bag.channel, state, exchanges[0]!.c!, recorded, caKeys)
  state.left = bag.left()
  return state
}

async function run(
  card: CardChannel,
  state: { -readonly [K in keyof Replay]: Replay[K] },
  select: string,
  recorded: ReturnType<typeof inputsOf>,
  caKeys: readonly CaKey[],
): Promise<CardEnd | string | undefined> {
  const { data } = state
  const aid = dataField(select)
  const application = { ...applicationRow({ aid: toHex(aid), asi: 1 }), ddol: fromHex('9F3704') }
  const row = { aid, application, name: '', priority: 0, confirmationRequired: false }
  const selected = await selectApplication(card, row, fromHex('FFFFFFFFFF'))
  if (isEnd(selected)) return selected
  if (selected.kind === 'notSelected') return selected.rule
  state.selected = selected
  setTransactionData(data, REQUEST, plainTerminal(), () => new Uint8Array(4))
  setApplicationData(data, application, selected.dfName, 0n)
  data.addFromCard(TAG.DF_NAME, selected.dfName)
  for (const field of selected.fields) if (!field.children) data.addFromCard(field.tag, field.value)
  const pdol = data.card(TAG.PDOL)
  // 83 and one length byte, then the PDOL's values.
  if (pdol && recorded.gpo) take(data, dolFields(pdol, dataField(recorded.gpo).subarray(2)))
  if (recorded.endsWithSelect) return 'the recording ends with SELECT'
  state.reached = 'initiation'
  const initiated = await initiateApplicationProcessing(card, data)
  if (isEnd(initiated)) return initiated
  if (initiated.kind === 'conditionsNotSatisfied') return initiated.kind
  state.reached = 'records'
  const read = await readApplicationData(card, data)
  if (isEnd(read)) return read
  const [first, second] = recorded.generate
  if (!first) return undefined
  return cryptograms(
    card,
    state,
    application,
    read,
    initiated.pdolData,
    { ...recorded, first, second },
    caKeys,
  )
}

const REQUEST = {
  type: 0,
  amount: { minor: 0n, currency: 'EUR' },
  sequence: 1,
  at: new Date(2000, 0, 1),
} as const

function take(data: TransactionData, fields: readonly [number, Uint8Array][]): void {
  for (const [tag, value] of fields) if (!RESULTS.has(tag)) data.set(tag, value)
}

/** From offline data authentication to the second GENERATE AC, in the kernel's order. */
async function cryptograms(
  card: CardChannel,
  state: { -readonly [K in keyof Replay]: Replay[K] },
  application: FirstResult['application'],
  read: RecordsRead,
  pdolData: Uint8Array,
  recorded: ReturnType<typeof inputsOf> & { first: string; second: string | undefined },
  caKeys: readonly CaKey[],
): Promise<CardEnd | string | undefined> {
  const { data } = state
  const fields = dolFields(data.need(TAG.CDOL1), dataField(recorded.first))
  const theirs = new Map(fields)
  take(data, fields)
  const tvr = theirs.get(TAG.TVR) ?? new Uint8Array(5)
  const control = Number.parseInt(recorded.first.slice(4, 6), 16)
  data.set(
    TAG.TERMINAL_CAPABILITIES,
    capabilitiesOf(tvr, control, recorded.internalAuthenticate !== undefined),
  )
  // 9F09 and the floor limit are in no command: as good as the card's, and as the recorded TVR says.
  data.set(TAG.TERMINAL_VERSION, data.card(TAG.ICC_VERSION) ?? application.version)
  const floorLimit = (tvr[3]! & 0x80) !== 0 ? 0n : 1n << 40n
  // NOTE: a recorder that draws a second number for INTERNAL AUTHENTICATE: the kernel has one for the transaction.
  const unpredictable = data.need(TAG.UNPREDICTABLE_NUMBER)
  if (recorded.internalAuthenticate)
    take(data, dolFields(data.card(TAG.DDOL) ?? application.ddol!, dataField(recorded.internalAuthenticate)))
  const oda = await offlineDataAuthentication(card, data, read.odaRecords, {
    caKeys,
    revoked: new Set(),
    defaultDdol: application.ddol,
  })
  if (isEnd(oda)) return oda
  state.oda = oda
  data.set(TAG.UNPREDICTABLE_NUMBER, unpredictable)
  processingRestrictions(data)
  const services = plainServices({ pin: '1234' })
  const cvm = await cardholderVerification(card, data, {
    ...services,
    bypassAllowed: false,
    pinEnciphermentKey: () => undefined,
  })
  if (isEnd(cvm)) return cvm
  const risk = await terminalRiskManagement(
    card,
    data,
    1n,
    { floorLimit, randomSelection: undefined },
    { ...services, lastAmountOfCard: 0n, onExceptionFile: false },
  )
  if (isEnd(risk)) return risk
  state.reached = 'first cryptogram'
  const type = typeOf(control)
  state.differences = differing(data, theirs)
  // The recording's own results from here on, so that the card's answers stay answers to what was asked.
  for (const [tag, value] of theirs) if (RESULTS.has(tag)) data.set(tag, value)
  const generated = await firstCryptogram(card, data, application, oda, type, pdolData)
  if (isEnd(generated)) return generated
  if (generated.cdaFailed) return 'CDA failed'
  const decided = await cardActionAnalysis(card, data, type, generated, {
    application,
    name: '',
    cvm,
    oda,
    dolData: [pdolData, generated.dolData],
    cryptogramType: generated.type,
    adviceRequired: generated.adviceRequired,
  })
  if (isEnd(decided) || !recorded.second) return isEnd(decided) ? decided : undefined
  state.reached = 'second cryptogram'
  const last = new Map(dolFields(data.need(TAG.CDOL2), dataField(recorded.second)))
  take(data, [...last])
  const authentication = recorded.externalAuthenticate
    ? dataField(recorded.externalAuthenticate)
    : last.get(TAG.ISSUER_AUTHENTICATION_DATA)
  const code = last.get(TAG.RESPONSE_CODE)
  const completed = await completeTransaction(card, data, decided, {
    kind: 'answered',
    responseCode: code ? String.fromCharCode(...code) : APPROVED,
    approved: typeOf(Number.parseInt(recorded.second.slice(4, 6), 16)) === 'TC',
    issuerAuthenticationData: authentication,
    scripts: [],
  })
  return isEnd(completed) ? completed : undefined
}

/** GENERATE AC's P1 (Book 3, table 12). */
function typeOf(control: number): CryptogramType {
  const types = Object.entries(CRYPTOGRAM) as [CryptogramType, number][]
  return types.find(([, bits]) => bits === (control & 0xc0))![0]
}

/** 9F33 of a terminal that would have got the recorded TVR: offline authentication by what was done, CVMs without offline PIN. */
function capabilitiesOf(tvr: Uint8Array, control: number, internalAuthenticate: boolean): Uint8Array {
  const security =
    (control & 0x10) !== 0 ? 0x08 : internalAuthenticate ? 0x40 : (tvr[0]! & 0x80) !== 0 ? 0 : 0x80
  const onlinePin = (tvr[2]! & 0x04) !== 0 ? 0x40 : 0x00
  return Uint8Array.of(0xe0, 0x28 | onlinePin, security)
}

/** Fields of CDOL1 that the kernel came to otherwise: `TVR 0040000000 instead of 0000000000`. */
function differing(data: TransactionData, theirs: ReadonlyMap<number, Uint8Array>): string[] {
  return [...theirs].flatMap(([tag, value]) => {
    const ours = toHex(data.get(tag) ?? new Uint8Array(value.length))
    return !RESULTS.has(tag) || ours === toHex(value)
      ? []
      : [`${tagName(tag)} ${ours} instead of ${toHex(value)}`]
  })
}
