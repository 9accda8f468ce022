// The one way to paper in the open world: a short queue in front of the printer, and outcomes that people can act on.
import type { Clock } from '../../../hal/base/clock.js'
import { isPosternError, PosternError } from '../../../hal/base/errors.js'
import type { Font } from '../../../hal/base/font/font.js'
import type { Log } from '../../../hal/base/log.js'
import type { Printer } from '../../../hal/printer.js'
import type { ReceiptFacts } from '../../api/payments.js'
import type { PrintDocument, PrintResult } from '../../api/print-document.js'
import { encodeDocument } from './encode.js'
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
  readonly clock: Clock
  readonly log: Log
}

const MAX_WAITING = 16
/** A hot head cools by itself: the job is tried again when it has, within this time. */
const COOLING_MS = 45_000
const COOLING_POLL_MS = 250
const REMEMBERED_COPIES = 500

export function createPrintService(parts: PrintServiceParts): PrintService {
  const { printer, font, texts, clock, log } = parts
  const listeners = new Set<(summary: PrinterSummary) => void>()
  const closing = new AbortController()
  const printedCopies = new Set<string>()
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

  async function attempt(target: Printer, bytes: Uint8Array, signal: AbortSignal): Promise<PrintResult> {
    const id = `print-${++jobNumber}`
    try {
      const outcome = await target.print({ id, bytes }, signal)
      return { outcome: outcome.kind === 'done' ? 'printed' : outcome.cause }
    } catch (error) {
      // Busy: somebody else prints without the queue, such as a self-test. Closed: the terminal is going down.
      log.warn('print.refused', { fault: isPosternError(error) ? error.code : String(error) })
      return { outcome: 'offline' }
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

  async function run(bytes: Uint8Array, signal: AbortSignal): Promise<PrintResult> {
    if (printer === undefined) return { outcome: 'offline' }
    if (signal.aborted) return { outcome: 'aborted' }
    const first = await attempt(printer, bytes, signal)
    if (first.outcome !== 'headHot' || !(await cooled(printer, signal))) return first
    return attempt(printer, bytes, signal)
  }

  async function print(document: PrintDocument, signal?: AbortSignal): Promise<PrintResult> {
    if (waiting >= MAX_WAITING)
      throw new PosternError('PRINT_QUEUE_FULL', `${MAX_WAITING} print jobs are waiting`, {
        waiting: MAX_WAITING,
      })
    waiting++
    const own = signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal])
    const turn = tail.then(async () => {
      waiting--
      const bytes = printer && encodeDocument(document, printer.capabilities, font)
      return run(bytes ?? new Uint8Array(0), own)
    })
    tail = turn.catch(() => undefined)
    return turn
  }

  return {
    print,
    async receipt(facts, options, signal) {
      const copy = `${facts.merchant.terminalId}/${facts.receiptNumber}/${facts.outcome}/${options.copy}`
      const reprint = printedCopies.has(copy)
      const result = await print(receiptDocument(facts, { ...options, reprint }, texts), signal)
      if (result.outcome === 'printed') {
        printedCopies.add(copy)
        if (printedCopies.size > REMEMBERED_COPIES) printedCopies.delete(printedCopies.values().next().value!)
      }
      return result
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
