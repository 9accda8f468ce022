// Fiscal signatures: each receipt of money is signed before it is printed, by the country's device; what failed is tried on.
import { isPosternError } from '../../../hal/base/errors.js'
import { withinTime } from '../../../hal/base/within-time.js'
import type { FiscalReceipt, FiscalSigner } from '../../../hal/fiscal-signer.js'
import type { Owing } from './background.js'
import { type FiscalPart, markOf, unsignedParts, unsignedPayments } from './fiscal-marks.js'
import { createLane } from './lane.js'
import type { PaymentDependencies } from './payment-port.js'
import type { FiscalMark, PaymentRecord } from './payment-record.js'
import { amountOf } from './payment-view.js'

/** How long a receipt waits for its signature, unless the document says otherwise. */
const TIMEOUT_MS = 5_000
const FIRST_WAIT_MS = 5_000
const LONGEST_WAIT_MS = 5 * 60_000
function receiptOf(record: PaymentRecord, part: FiscalPart): FiscalReceipt {
  const { type = 'sale', key, currency, terminalId } = record
  const mark = part === 'void' ? record.void! : undefined
  return {
    id: `${terminalId}/${mark?.key ?? key}`,
    kind: part === 'void' ? 'void' : type === 'refund' ? 'refund' : 'sale',
    atMs: mark?.atMs ?? record.preparedAtMs ?? record.createdAtMs,
    amountMinor: amountOf(record).minor,
    currency,
    terminalId,
    receiptNumber: mark?.receiptNumber ?? record.receiptNumber,
    operator: mark?.operator ?? record.operator,
  }
}

export interface FiscalReceipts extends Owing {
  /** Signs what is still to be signed of this payment; resolves when it is, or when it was tried in vain. */
  sign(key: string): Promise<void>
  /** The signer is back: all that is owed is tried at once. */
  hurry(): void
}

type Needs = Pick<
  PaymentDependencies,
  'journal' | 'merchant' | 'fiscalSigner' | 'clock' | 'log' | 'texts' | 'onNotice' | 'onChanged'
>

export function createFiscalReceipts(deps: Needs): FiscalReceipts {
  const { journal, merchant, clock, log } = deps
  const lane = createLane()
  let lastTryMs: number | undefined

  function put(record: PaymentRecord, part: FiscalPart, step: string, mark: FiscalMark): void {
    journal.commit(`fiscal.${step}`, (write) => {
      write.putPayment(
        part === 'own' ? { ...record, fiscal: mark } : { ...record, void: { ...record.void!, fiscal: mark } },
      )
      // Whoever was told of a receipt without its signature is told of it with it.
      if (step === 'signed' && mark.failures > 0) write.queueChange(record.key, record.app)
    })
  }

  async function ask(signer: FiscalSigner, receipt: FiscalReceipt) {
    const giveUp = new AbortController()
    try {
      const waitMs = merchant.fiscal?.timeoutMs ?? TIMEOUT_MS
      // A signature that comes later is kept by the signer under its id, and given again.
      return await withinTime(signer.sign(receipt, giveUp.signal), waitMs, clock, () => undefined)
    } finally {
      giveUp.abort()
    }
  }

  /** False where the signer did not sign: then the next one need not be tried. */
  async function attempt(key: string, part: FiscalPart): Promise<boolean> {
    const before = journal.payment(key)!
    const mark = markOf(before, part)
    if (mark?.state !== 'owed') return true
    lastTryMs = clock.monotonicMs()
    const signer = deps.fiscalSigner
    let why = 'NO_SIGNER'
    try {
      if (signer !== undefined) {
        const { serial, counter, signedAtMs, code, text } = await ask(signer, receiptOf(before, part))
        const signed = {
          state: 'signed',
          failures: mark.failures,
          serial,
          counter,
          signedAtMs,
          code,
          text,
        } as const
        put(journal.payment(key)!, part, 'signed', signed)
        log.info('fiscal.signed', { payment: key, part, counter })
        if (mark.failures > 0) deps.onChanged()
        return true
      }
    } catch (error) {
      if (isPosternError(error, 'JOURNAL_FAILED')) throw error
      why = isPosternError(error) ? error.code : 'FAULT'
    }
    const first = !unsignedPayments(journal).some((record) =>
      unsignedParts(record).some((each) => (markOf(record, each)?.failures ?? 0) > 0),
    )
    put(journal.payment(key)!, part, 'failed', { ...mark, failures: mark.failures + 1, lastFailure: why })
    log.warn('fiscal.failed', { payment: key, part, why })
    if (first) deps.onNotice(deps.texts.text(before.locale, 'fiscal.failing'))
    return false
  }

  const waitMs = () => {
    const marks = unsignedPayments(journal).flatMap((record) => [record.fiscal, record.void?.fiscal])
    const failures = Math.max(0, ...marks.map((mark) => (mark?.state === 'owed' ? mark.failures : 0)))
    return failures === 0 ? 0 : Math.min(FIRST_WAIT_MS * 2 ** Math.min(failures - 1, 10), LONGEST_WAIT_MS)
  }

  return {
    sign: (key) =>
      lane.run(async () => {
        const record = journal.payment(key)
        if (record === undefined) return
        for (const part of unsignedParts(record)) if (!(await attempt(key, part))) return
      }),
    flushDue: (signal) =>
      lane.run(async () => {
        if (lastTryMs !== undefined && clock.monotonicMs() < lastTryMs + waitMs()) return
        for (const record of unsignedPayments(journal)) {
          for (const part of unsignedParts(record)) {
            if (signal.aborted || !(await attempt(record.key, part))) return
          }
        }
      }),
    dueInMs() {
      if (unsignedPayments(journal).length === 0) return undefined
      return lastTryMs === undefined ? 0 : Math.max(0, lastTryMs + waitMs() - clock.monotonicMs())
    },
    hurry() {
      lastTryMs = undefined
    },
  }
}
