// A payment service with everything around it replaced: a clock that is moved by hand, a scripted card, a host with a
// ledger, and a power switch that cuts at the n-th step.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { fromHex, toHex } from '../../../../hal/base/bytes.js'
import type { Clock } from '../../../../hal/base/clock.js'
import { PosternError } from '../../../../hal/base/errors.js'
import { type Log, silentLog } from '../../../../hal/base/log.js'
import { packageRoot } from '../../../../hal/base/package-root.js'
import type { FiscalSigner } from '../../../../hal/fiscal-signer.js'
import type { SignaturePad } from '../../../../hal/signature-pad.js'
import type { CollectRequest, Operator } from '../../../../runtime/api/payments.js'
import type { Screen, ScreenResult } from '../../../../runtime/api/screens.js'
import type {
  CardAuthorisation,
  CardFacts,
  CardPrompts,
  CardTransaction,
  CardTransactionFactory,
  FinalOutcome,
  HostAnswer,
  StartOutcome,
} from '../../../../runtime/secure/card-transaction.js'
import type { KeyStore } from '../../../../runtime/secure/keys/key-store.js'
import type {
  Acquirer,
  AcquirerCapabilities,
  Acquirers,
  AdviceAnswer,
  AuthoriseAnswer,
  OriginalFacts,
  UnknownCause,
} from '../../../../runtime/secure/payments/acquirer-port.js'
import { createAcquirers } from '../../../../runtime/secure/payments/acquirers.js'
import { type Journal, openJournal } from '../../../../runtime/secure/payments/journal.js'
import type { MerchantDocument } from '../../../../runtime/secure/payments/merchant-document.js'
import type { PaymentDependencies, PaymentService } from '../../../../runtime/secure/payments/payment-port.js'
import type { BatchTotals } from '../../../../runtime/secure/payments/payment-record.js'
import { createPaymentService } from '../../../../runtime/secure/payments/payment-service.js'
import { type CardVault, openCardVault } from '../../../../runtime/secure/payments/sealed-cards.js'
import { loadTexts } from '../../../../runtime/secure/texts.js'
import type { TypedCardFactory } from '../../../../runtime/secure/typed-card.js'

export interface TestClock extends Clock {
  /** Moves time and wakes the sleepers whose time has come. */
  advance(ms: number): void
}

export function testClock(startMs = Date.UTC(2026, 10, 22, 8, 30)): TestClock {
  let now = startMs
  const sleepers = new Set<{ at: number; wake: () => void }>()
  return {
    nowMs: () => now,
    monotonicMs: () => now - startMs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const sleeper = { at: now + ms, wake: resolve }
        const onAbort = () => {
          sleepers.delete(sleeper)
          reject(new PosternError('ABORTED', 'cancelled'))
        }
        if (signal?.aborted) return onAbort()
        signal?.addEventListener('abort', onAbort, { once: true })
        sleepers.add(sleeper)
      }),
    advance(ms) {
      now += ms
      for (const sleeper of [...sleepers]) {
        if (sleeper.at > now) continue
        sleepers.delete(sleeper)
        sleeper.wake()
      }
    },
  }
}

/** Lets everything run that can run without time passing. */
export async function settle(turns = 20): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** Moves the clock in steps until `done`, at most `steps` times. */
export async function until(
  clock: TestClock,
  done: () => boolean,
  stepMs = 5_000,
  steps = 200,
): Promise<void> {
  await settle()
  for (let i = 0; i < steps && !done(); i++) {
    clock.advance(stepMs)
    await settle()
  }
  if (!done()) throw new Error('what was waited for did not come')
}

export class PowerCut extends Error {}

/** Power that fails at the n-th step; 0 never. Every step of the terminal and of its surroundings passes here. */
export interface Power {
  step(name: string): void
  readonly off: boolean
  readonly steps: readonly string[]
}

export function powerUntil(target: number): Power {
  const steps: string[] = []
  let off = false
  return {
    steps,
    get off() {
      return off
    },
    step(name) {
      if (off) throw new PowerCut(name)
      steps.push(name)
      if (steps.length === target) {
        off = true
        throw new PowerCut(name)
      }
    },
  }
}

export const FACTS: CardFacts = {
  aid: 'A0000000031010',
  label: 'TEST CREDIT',
  maskedPan: '476173******0119',
  bin: '476173',
  panLast4: '0119',
  panSequence: '01',
  entryMode: 'chip',
  cvm: 'pin',
  tvr: '0000048000',
  tsi: 'E800',
  atc: '0001',
  cryptogram: '0102030405060708',
  cryptogramType: 'ARQC',
}

export const authorisation = (): CardAuthorisation => ({
  facts: FACTS,
  de55: fromHex('9F2608010203040506070882023800'),
  cardData: { ksn: new Uint8Array(12).fill(1), bytes: new Uint8Array(32).fill(0xcc) },
  pinBlock: { ksn: new Uint8Array(12).fill(2), bytes: new Uint8Array(16).fill(0xbb) },
  cardToken: 'AB'.repeat(32),
})

/** What the card does. */
export interface CardScript {
  start?: () => StartOutcome | Promise<StartOutcome>
  final?: (answer: HostAnswer) => FinalOutcome | Promise<FinalOutcome>
  /** Without a host; it declines where absent. */
  offline?: () => FinalOutcome
  /** The issuer wants to hear of declines. */
  declineAdvice?: boolean
  /** Begins `start` when it was called: the test lets the card go on. */
  onFinish?: (approved: boolean) => void
}

export const finalApproved = (): FinalOutcome => ({
  kind: 'approved',
  facts: { ...FACTS, cryptogramType: 'TC' },
  de55: fromHex('9F2608A1A2A3A4A5A6A7A8'),
  signatureRequired: false,
  adviceRequired: false,
})
/** Y3: the card's TC without a host. */
export const offlineApproved = (): FinalOutcome => ({
  kind: 'approvedOffline',
  facts: { ...FACTS, cryptogramType: 'TC' },
  de55: fromHex('9F2608C1C2C3C4C5C6C7C8'),
  signatureRequired: false,
  adviceRequired: false,
})
const finalDeclined = (cardSaidNo: boolean): FinalOutcome => ({
  kind: 'declined',
  facts: { ...FACTS, cryptogramType: 'AAC' },
  de55: fromHex('9F2608B1B2B3B4B5B6B7B8'),
  cardSaidNo,
  adviceRequired: false,
})
export const cardSaysNo = () => finalDeclined(true)

export function scriptedCards(script: CardScript, power: Power, calls: string[]): CardTransactionFactory {
  return (): CardTransaction => ({
    async start(_request, signal) {
      calls.push('start')
      const outcome = await (script.start?.() ?? { kind: 'online', authorisation: authorisation() })
      if (signal.aborted) throw new PosternError('ABORTED', 'cancelled')
      return outcome
    },
    async hostAnswer(answer) {
      calls.push(`hostAnswer ${answer.kind}`)
      power.step('card: host answer')
      if (answer.kind === 'unableToGoOnline' && answer.decline !== true && script.offline !== undefined)
        return script.offline()
      if (answer.kind === 'unableToGoOnline' || !answer.approved)
        return { ...finalDeclined(false), adviceRequired: script.declineAdvice === true }
      return (script.final ?? finalApproved)(answer)
    },
    async finish({ approved }) {
      calls.push(`finish ${approved}`)
      script.onFinish?.(approved)
      power.step('card: finish')
    },
  })
}

interface LedgerLine {
  minor: bigint
  readonly batch: number
  readonly kind?: OriginalFacts['kind']
  state: 'approved' | 'declined' | 'voided' | 'reversed'
}

/** What the host makes of the next sale: its decision, and whether the answer gets through. */
export interface HostRule {
  readonly decide: 'approve' | 'decline' | 'lose' | 'refer'
  /** Approved up to this, in minor units (response code 10). */
  readonly part?: bigint
  readonly answer?: UnknownCause
}

/** A host in memory: remembers what it approved, what was reversed, and refuses what was reversed before it came. */
export class TestHost implements Acquirer {
  readonly id: string
  readonly terminalId: string
  readonly merchantId = 'MERCHANT0000001'
  readonly currency = 'EUR'
  capabilities: AcquirerCapabilities = {
    refund: true,
    preauth: true,
    partial: true,
    tip: true,
    cashback: true,
    manualEntry: true,
    upload: true,
  }
  readonly ledger = new Map<string, LedgerLine>()
  readonly log: string[] = []
  readonly requests: Parameters<Acquirer['authorise']>[0][] = []
  rules: HostRule[] = []
  /** Reversals and totals are answered like this; the first is used up. */
  reversalRules: ('ok' | 'silent' | 'lost')[] = []
  /** Advices are answered like this; the first is used up. */
  adviceRules: ('ok' | 'refuse' | 'silent' | 'lost')[] = []
  /** Uploads are answered like this; the first is used up. */
  uploadRules: ('ok' | 'silent')[] = []
  /** Card data of advices, as they came. */
  readonly advisedCards: string[] = []
  reachable = true
  power: Power = powerUntil(0)

  constructor(id = 'test', terminalId = 'TERM0001') {
    this.id = id
    this.terminalId = terminalId
  }

  /** DE55 scripts are none; the answer's other facts are always the same. */
  #id = ({ stan, preparedAtMs }: OriginalFacts) => `${stan} ${preparedAtMs}`

  async authorise(
    request: Parameters<Acquirer['authorise']>[0],
    beforeSend: () => void,
  ): Promise<AuthoriseAnswer> {
    if (!this.reachable) return { kind: 'notSent', reason: 'ROAD_CLOSED' }
    beforeSend()
    this.power.step('host: sale under way')
    const { facts } = request
    const rule = this.rules.shift() ?? { decide: 'approve' }
    this.log.push(`${facts.kind} ${facts.stan}`)
    this.requests.push(request)
    const id = this.#id(facts)
    if (rule.decide !== 'lose') {
      if (this.ledger.get(id) !== undefined) throw new Error(`trace number used twice: ${id}`)
      const state = rule.decide === 'approve' ? 'approved' : 'declined'
      const minor = rule.part ?? facts.amount.minor
      this.ledger.set(id, { minor, batch: facts.batch, kind: facts.kind, state })
    }
    this.power.step('host: sale decided')
    if (rule.answer !== undefined) return { kind: 'unknown', cause: rule.answer }
    return {
      kind: 'answered',
      approved: rule.decide === 'approve',
      responseCode:
        rule.decide === 'refer'
          ? '01'
          : rule.decide !== 'approve'
            ? '51'
            : rule.part === undefined
              ? '00'
              : '10',
      ...(rule.part === undefined ? {} : { approvedMinor: rule.part }),
      authorisationCode: rule.decide === 'approve' ? 'A12345' : undefined,
      retrievalReference: '000000000001',
      issuerAuthenticationData: fromHex('01020304050607080012'),
      scripts: [],
    }
  }

  async reverse(request: Parameters<Acquirer['reverse']>[0], beforeSend: () => void) {
    if (!this.reachable) return { kind: 'notSent' as const, reason: 'ROAD_CLOSED' }
    beforeSend()
    this.power.step('host: reversal under way')
    const rule = this.reversalRules.shift() ?? 'ok'
    this.log.push(`${request.repeat ? '0401' : '0400'} ${request.original.stan} ${request.cause}`)
    const line = this.ledger.get(this.#id(request.original))
    if (rule !== 'lost' && line?.state === 'approved')
      line.state = request.cause === 'void' ? 'voided' : 'reversed'
    this.power.step('host: reversal done')
    if (rule !== 'ok') return { kind: 'failed' as const, reason: 'timeout' }
    return { kind: 'acknowledged' as const, responseCode: line === undefined ? '25' : '00' }
  }

  totalsOf(batch: number): BatchTotals {
    const all = [...this.ledger.values()].filter((line) => line.batch === batch)
    const lines = all.filter(({ kind = 'sale' }) => ['sale', 'offlineSale', 'completion'].includes(kind))
    const refunds = all.filter(({ kind, state }) => kind === 'refund' && state === 'approved')
    const sales = lines.filter(({ state }) => state === 'approved' || state === 'voided')
    const voids = lines.filter(({ state }) => state === 'voided')
    const sum = (list: LedgerLine[]) => list.reduce((total, { minor }) => total + minor, 0n).toString()
    const credits = refunds.length === 0 ? {} : { refunds: refunds.length, refundsMinor: sum(refunds) }
    return {
      sales: sales.length,
      salesMinor: sum(sales),
      voids: voids.length,
      voidsMinor: sum(voids),
      ...credits,
    }
  }

  async compareTotals(request: Parameters<Acquirer['compareTotals']>[0]) {
    if (!this.reachable) return { kind: 'notSent' as const, reason: 'ROAD_CLOSED' }
    this.power.step('host: totals under way')
    this.log.push(`totals ${request.batch}`)
    const host = this.totalsOf(request.batch)
    const equal = JSON.stringify(host) === JSON.stringify(request.totals)
    this.power.step('host: totals compared')
    return equal
      ? { kind: 'agrees' as const }
      : { kind: 'differs' as const, host, responseCode: '95', uploadWanted: true }
  }

  async advise(request: Parameters<Acquirer['advise']>[0], beforeSend: () => void): Promise<AdviceAnswer> {
    if (!this.reachable) return { kind: 'notSent', reason: 'ROAD_CLOSED' }
    beforeSend()
    this.power.step('host: advice under way')
    const { facts, repeat, card, responseCode } = request
    const rule = this.adviceRules.shift() ?? 'ok'
    this.log.push(`${repeat ? '0221' : '0220'} ${facts.kind} ${facts.stan} ${responseCode}`)
    if (facts.kind === 'offlineDecline') {
      if (rule === 'refuse') return { kind: 'refused', responseCode: '05' }
      return rule === 'ok'
        ? { kind: 'acknowledged', responseCode: '00', retrievalReference: undefined }
        : { kind: 'failed', reason: 'timeout' }
    }
    if (card !== undefined) this.advisedCards.push(toHex(card.cardData.bytes))
    const id = this.#id(facts)
    if (rule === 'refuse') return { kind: 'refused', responseCode: '05' }
    const { kind, batch } = facts
    if (rule !== 'lost' && this.ledger.get(id)?.state !== 'approved')
      this.ledger.set(id, { minor: facts.amount.minor, batch, kind, state: 'approved' })
    this.power.step('host: advice done')
    if (rule !== 'ok') return { kind: 'failed', reason: 'timeout' }
    return { kind: 'acknowledged', responseCode: '00', retrievalReference: '000000000002' }
  }

  async upload(request: Parameters<Acquirer['upload']>[0]) {
    if (!this.reachable) return { kind: 'notSent' as const, reason: 'ROAD_CLOSED' }
    const { original, minor, number, count } = request
    this.power.step('host: upload')
    this.log.push(`upload ${number}/${count} ${original.stan}`)
    const line = this.ledger.get(this.#id(original))
    if (line !== undefined && (line.state !== 'approved' || line.minor !== minor))
      return { kind: 'refused' as const, responseCode: '12' }
    if (this.uploadRules.shift() === 'silent') return { kind: 'failed' as const, reason: 'timeout' }
    const { kind, batch } = original
    this.ledger.set(this.#id(original), { minor, batch, kind, state: 'approved' })
    return { kind: 'acknowledged' as const, responseCode: '00' }
  }

  async manage(request: Parameters<Acquirer['manage']>[0]) {
    if (!this.reachable) return { kind: 'notSent' as const, reason: 'ROAD_CLOSED' }
    this.log.push(request.kind)
    return { kind: 'done' as const, keyBlock: undefined }
  }
}

export const MERCHANT: MerchantDocument = {
  name: 'Postern Parcels',
  address: ['1 Gate Street', 'Doorstep'],
  currency: 'EUR',
  country: '276',
  locale: 'en',
  categoryCode: '4215',
}
export const COURIER: Operator = { id: '17', name: 'Anna', role: 'courier', locale: 'en' }
export const OWNER = { app: 'courier', name: 'Courier' }

export const prompts: CardPrompts & { close(): void } = {
  close() {},
  presentCard: async () => 'timeout',
  useStripe: async () => 'timeout',
  useChip: async () => 'timeout',
  cardUnreadable: async () => 'acknowledged',
  chooseApplication: async () => 0,
  confirmApplication: async () => true,
  enterPin: async () => ({ kind: 'bypassed' }),
  preferLanguages() {},
  busy() {},
  removeCard() {},
}

/** A key store in memory that outlives the terminals of one folder, as a file would. */
const stores = new Map<string, Map<string, Uint8Array>>()
export function memoryStore(folder: string): KeyStore & { readonly records: Map<string, Uint8Array> } {
  const records = stores.get(folder) ?? new Map<string, Uint8Array>()
  stores.set(folder, records)
  return {
    records,
    read: async (name) => {
      const secret = records.get(name)
      return secret && { secret: secret.slice(), generation: 1, behind: false }
    },
    write: async (name, secret) => void records.set(name, secret.slice()),
    close: () => undefined,
  }
}
/** The vault of a store, opened without waiting: its calls wait for it. */
export function testVault(folder: string, power: Power): CardVault {
  const store = memoryStore(folder)
  const opening = openCardVault(
    {
      ...store,
      write: (name, secret) => {
        power.step('key store: write')
        return store.write(name, secret)
      },
    },
    (length) => new Uint8Array(randomBytes(length)),
  )
  let vault: CardVault | undefined
  const opened = opening.then((one) => {
    vault = one
    return one
  })
  return {
    room: () => vault?.room() ?? 100,
    ids: () => vault?.ids() ?? [],
    seal: async (payment, card) => (await opened).seal(payment, card),
    open: (payment, sealed) => vault!.open(payment, sealed),
    destroy: async (ids) => (await opened).destroy(ids),
    close: () => vault?.close(),
  }
}

export const request = (key: string, minor = '1250', reference = `REF-${key}`): CollectRequest => ({
  key,
  amount: { minor, currency: 'EUR' },
  reference,
})

export interface Terminal {
  readonly service: PaymentService
  readonly journal: Journal
  readonly calls: string[]
  readonly notices: string[]
  readonly fatal: unknown[]
  /** Changes as they were announced. */
  changes: number
  close(): Promise<void>
}

export interface TerminalOptions {
  readonly folder: string
  readonly host: TestHost
  /** Where there are more than `host`. */
  readonly acquirers?: Acquirers
  readonly clock?: TestClock
  readonly card?: CardScript
  readonly power?: Power
  readonly operator?: Operator | null
  readonly supervisor?: string | undefined
  readonly isOnline?: () => boolean
  readonly exceptionFile?: (cardToken: string) => boolean
  /** Who answers the secure world's own questions; yes to everything where absent. */
  readonly ask?: (screen: Screen) => ScreenResult | Promise<ScreenResult>
  /** Card data of offline approvals survive a cut under this name; the folder's where absent. */
  readonly store?: string
  readonly cards?: CardTransactionFactory
  readonly prompts?: PaymentDependencies['prompts']
  readonly log?: Log
  readonly merchant?: MerchantDocument
  readonly typedCards?: TypedCardFactory
  readonly signaturePad?: SignaturePad
  readonly fiscalSigner?: FiscalSigner | undefined
}

/** Starts a terminal on the journal of `folder`: journal, service, recovery. */
export function startTerminal(options: TerminalOptions): Terminal {
  const clock = options.clock ?? testClock()
  const power = options.power ?? powerUntil(0)
  options.host.power = power
  const real = openJournal(join(options.folder, 'journal.db'), clock)
  const journal: Journal = {
    ...real,
    commit(step, write) {
      power.step(`before ${step}`)
      const result = real.commit(step, write)
      power.step(`after ${step}`)
      return result
    },
  }
  const calls: string[] = []
  const notices: string[] = []
  const fatal: unknown[] = []
  const deps: PaymentDependencies = {
    journal,
    acquirers: options.acquirers ?? createAcquirers([options.host], () => [options.host.id]),
    merchant: options.merchant ?? MERCHANT,
    ...(options.fiscalSigner && { fiscalSigner: options.fiscalSigner }),
    ...(options.signaturePad && { signaturePad: options.signaturePad }),
    ...(options.typedCards && { typedCards: options.typedCards }),
    cards: options.cards ?? scriptedCards(options.card ?? {}, power, calls),
    prompts: options.prompts ?? (() => prompts),
    session: {
      operator: options.operator === undefined ? COURIER : options.operator,
      authorise: async () => ('supervisor' in options ? options.supervisor : '99'),
    },
    texts: loadTexts(join(packageRoot, 'runtime/secure/payments/texts')),
    clock,
    log: options.log ?? silentLog,
    isOnline: options.isOnline ?? (() => true),
    ...(options.exceptionFile !== undefined && { exceptionFile: options.exceptionFile }),
    vault: testVault(options.store ?? options.folder, power),
    ask: async (screen) => options.ask?.(screen) ?? { type: 'confirmed' },
    onChanged: () => {
      terminal.changes++
    },
    onNotice: (text) => notices.push(text),
    onFatal: (error) => fatal.push(error),
  }
  const service = createPaymentService(deps)
  const terminal: Terminal = {
    service,
    journal: real,
    calls,
    notices,
    fatal,
    changes: 0,
    async close() {
      await service.stop()
      real.close()
    },
  }
  service.recover()
  return terminal
}
