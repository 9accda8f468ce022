// The one way to paper in the open world: a short queue in front of the printer, and outcomes that people can act on.
import type { Clock } from '../../../hal/base/clock.js'
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import type { Font } from '../../../hal/base/font/font.js'
import type { Log } from '../../../hal/base/log.js'
import type { Printer } from '../../../hal/printer.js'
import type { ReceiptFacts } from '../../api/payments.js'
import type { PrintBlock, PrintDocument, PrintResult } from '../../api/print-document.js'
import { type Continuation, encodeJob } from './encode.js'
import { receiptDocument } from './receipt-document.js'
import type { ReceiptTexts } from './receipt-texts.js'

/** The printer's part of the status row. */
export type PrinterSummary = 'ready' | 'paperLow' | 'problem' | 'none'

export interface PrintService {
  /**
   * Prints; resolves when the paper is out or somebody has to act. Jobs wait for each other.
   * @throws PosternError `PRINT_QUEUE_FULL` where 16 wait already
   */
  print(document: PrintDocument, signal?: AbortSignal): Promise<PrintResult>
  /** Prints a payment's receipt; a copy that has been printed before says `reprint`. */
  receipt(
    facts: ReceiptFacts,
    options: { readonly copy: 'customer' | 'merchant'; readonly locale: string },
    signal?: AbortSignal,
  ): Promise<PrintResult>
  /**
   * Goes on with a job that was interrupted, below a line that says so. What the printer had not confirmed is printed
   * again: a line twice is better than a line too few.
   * @throws PosternError `PRINT_JOB_UNKNOWN` where it is too long ago, `PRINT_QUEUE_FULL`
   */
  resume(job: string, locale: string, signal?: AbortSignal): Promise<PrintResult>
  summary(): PrinterSummary
  /** Calls `listener` when the summary changes. Returns the unsubscriber. */
  onSummary(listener: (summary: PrinterSummary) => void): () => void
  close(): void
}

export interface PrintServiceParts {
  /** Undefined on a board without a printer: every job then ends `offline`. */
  readonly printer: Printer | undefined
  readonly font: Font
  readonly texts: ReceiptTexts
  /** Above every receipt. */
  readonly logo?: PrintBlock | undefined
  readonly clock: Clock
  readonly log: Log
}

const MAX_WAITING = 16
/** A hot head cools by itself: the job is tried again when it has, within this time. */
const COOLING_MS = 45_000
const COOLING_POLL_MS = 250
const REMEMBERED_COPIES = 500
/** Interrupted jobs that can be gone on with; older ones have to be printed again. */
const REMEMBERED_JOBS = 4

/** One document on its way to paper. */
interface PaperJob {
  readonly id: string
  readonly document: PrintDocument
  /** The copy of a receipt that it is. */
  readonly copy: string | undefined
  /** Lines that the printer has confirmed. */
  lines: number
  /** Something of it may be on paper. */
  begun: boolean
}

export function createPrintService(parts: PrintServiceParts): PrintService {
  const { printer, font, texts, logo, clock, log } = parts
  const listeners = new Set<(summary: PrinterSummary) => void>()
  const closing = new AbortController()
  const printedCopies = new Set<string>()
  const interrupted = new Map<string, PaperJob>()
  let tail: Promise<unknown> = Promise.resolve()
  let waiting = 0
  let jobNumber = 0

  const summary = (): PrinterSummary => {
    if (printer === undefined) return 'none'
    const { presence, state } = printer.status()
    if (presence !== 'ready' || (state !== 'ready' && state !== 'busy')) return 'problem'
    return printer.paperLow() ? 'paperLow' : 'ready'
  }
  let told = summary()
  const unsubscribe = printer?.on(() => {
    const next = summary()
    if (next === told) return
    told = next
    for (const listener of [...listeners]) listener(next)
  })

  /** Prints what is not on paper yet, and learns how far it came. */
  async function attempt(
    target: Printer,
    job: PaperJob,
    mark: string | undefined,
    signal: AbortSignal,
  ): Promise<PrintResult['outcome']> {
    const from: Continuation = { lines: job.lines, ...(mark === undefined ? {} : { mark }) }
    const { bytes, lineEnds } = encodeJob(job.document, target.capabilities, font, from)
    try {
      const outcome = await target.print({ id: job.id, bytes }, signal)
      if (outcome.kind === 'done') return 'printed'
      job.begun ||= outcome.bytesSent > 0
      job.lines += lineEnds.filter((end) => end <= outcome.bytesAcked).length
      return outcome.cause
    } catch (error) {
      // Busy: somebody else prints without the queue, such as a self-test. Closed: the terminal is going down.
      log.warn('print.refused', { fault: isPosternError(error) ? error.code : String(error) })
      return 'offline'
    }
  }

  /** True once the head has cooled. */
  async function cooled(target: Printer, signal: AbortSignal): Promise<boolean> {
    const until = clock.monotonicMs() + COOLING_MS
    while (clock.monotonicMs() < until && !signal.aborted) {
      await clock.sleep(COOLING_POLL_MS, signal).catch(() => undefined)
      const { state } = target.status()
      if (state !== 'headHot') return state === 'ready'
    }
    return false
  }

  async function run(job: PaperJob, mark: string | undefined, signal: AbortSignal): Promise<PrintResult> {
    if (printer === undefined) return { outcome: 'offline' }
    if (signal.aborted) return { outcome: 'aborted' }
    let outcome = await attempt(printer, job, mark, signal)
    // The paper is still the same: it goes on where it stopped, without a seam.
    if (outcome === 'headHot' && (await cooled(printer, signal)))
      outcome = await attempt(printer, job, job.lines === 0 ? mark : undefined, signal)
    if (outcome === 'printed') {
      remember(job)
      return { outcome }
    }
    if (job.begun) remember(job)
    if (job.lines === 0 || outcome === 'aborted') return { outcome }
    interrupted.set(job.id, job)
    if (interrupted.size > REMEMBERED_JOBS) interrupted.delete(interrupted.keys().next().value!)
    return { outcome, job: job.id }
  }

  /** A copy that lies on paper, be it half of one, is followed by reprints only. */
  function remember({ copy }: PaperJob): void {
    if (copy === undefined) return
    printedCopies.add(copy)
    if (printedCopies.size > REMEMBERED_COPIES) printedCopies.delete(printedCopies.values().next().value!)
  }

  async function enqueue(
    job: PaperJob,
    mark: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<PrintResult> {
    if (waiting >= MAX_WAITING)
      throw new PosternError('PRINT_QUEUE_FULL', `${MAX_WAITING} print jobs are waiting`, {
        waiting: MAX_WAITING,
      })
    waiting++
    const own = signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal])
    const turn = tail.then(() => {
      waiting--
      return run(job, mark, own)
    })
    tail = turn.catch(() => undefined)
    return turn
  }
  const newJob = (document: PrintDocument, copy?: string): PaperJob => ({
    id: `print-${++jobNumber}`,
    document,
    copy,
    lines: 0,
    begun: false,
  })

  return {
    print: (document, signal) => enqueue(newJob(document), undefined, signal),
    async receipt(facts, options, signal) {
      const copy = `${facts.merchant.terminalId}/${facts.receiptNumber}/${facts.outcome}/${options.copy}`
      const reprint = printedCopies.has(copy)
      return enqueue(
        newJob(receiptDocument(facts, { ...options, reprint, logo }, texts), copy),
        undefined,
        signal,
      )
    },
    async resume(id, locale, signal) {
      const job = interrupted.get(id)
      if (job === undefined)
        throw new PosternError('PRINT_JOB_UNKNOWN', 'this job can not be gone on with', { job: id })
      interrupted.delete(id)
      return enqueue(job, texts(locale, 'continued'), signal)
    },
    summary,
    onSummary(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close() {
      closing.abort()
      unsubscribe?.()
      listeners.clear()
    },
  }
}
