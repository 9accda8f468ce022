// The ESC/POS printer behind hal/printer.ts: keeps its port, polls its condition, prints jobs fenced by its own answers.
import { isPosternError } from '../../base/errors.js'
import type { DriverContext } from '../../board.js'
import type { BytePort, OpenBytePort } from '../../byte-port.js'
import { createDeviceBase, deviceError } from '../../device-base.js'
import type { Printer, PrinterEvent, PrinterState, PrintJob, PrintOutcome } from '../../printer.js'
import { keepPortOpen } from '../kept-port.js'
import { type Condition, conditionOfPaper } from './answers.js'
import { type Conversation, converse } from './conversation.js'
import { cutJob } from './cut-job.js'
import { type InterruptCause, type JobState, newJob, nextJob, outcomeOf } from './printer-job.js'
import type { PrinterProfile } from './profiles.js'

export interface EscposPrinterOptions {
  readonly profile: PrinterProfile
  /** The wire's speed, for pacing; undefined where the transport paces itself. */
  readonly baudRate?: number
  /** How often an idle printer is asked for its condition. */
  readonly pollMs?: number
}

const POLL_IDLE_MS = 1000
const POLL_PRINTING_MS = 300
/** Two questions of three bytes take at most a hundredth of a slow line. */
const pollPrintingMs = (baudRate = 115_200) => Math.max(POLL_PRINTING_MS, 6_000_000 / baudRate)
/** Unanswered condition queries in a row that mean that the printer is gone. */
const SILENT_POLLS = 2
const NO_PROGRESS_MS = 15_000
/** A fence costs 3 bytes and an answer: one every half kilobyte keeps the window moving. */
const PORTION_BYTES = 512

/** Opens the printer; resolves when it has answered, or when it is known that the port or the printer is not there. */
export async function openEscposPrinter(
  driver: string,
  openPort: OpenBytePort,
  options: EscposPrinterOptions,
  context: DriverContext,
): Promise<Printer> {
  const { clock, log } = context
  const { capabilities, windowBytes } = options.profile
  const base = createDeviceBase<'printer', PrinterState, PrinterEvent>(context, 'printer', driver, 'offline')
  let talk: Conversation | undefined
  let condition: Condition | undefined
  let low = false
  let jobs = 0
  /** Something of an interrupted job may still be in the printer's buffer. */
  let dirty = false
  let changed: (() => void) | undefined

  const wake = () => changed?.()
  /** Resolves on the next acknowledgement or change of condition, at the latest after `ms`, or when `signal` fires. */
  async function nextChange(ms: number, signal: AbortSignal): Promise<void> {
    const stop = new AbortController()
    const change = new Promise<void>((resolve) => {
      changed = resolve
    })
    const bound = clock.sleep(ms, AbortSignal.any([stop.signal, signal])).catch(() => undefined)
    await Promise.race([change, bound])
    changed = undefined
    stop.abort()
  }

  function setLow(next: boolean): void {
    if (next === low) return
    low = next
    base.emit({ type: 'paperLow', low })
  }

  function show(): void {
    if (talk === undefined || condition === undefined) return
    const state = condition.problem?.state ?? (jobs > 0 ? 'busy' : 'ready')
    const before = base.device.status().state
    if (state !== before) {
      if (state === 'coverOpen') base.count('ReceiptCoverOpenCount')
      if (state === 'headHot') base.count('MaximumTempReachedCount')
      if (state === 'jam' || state === 'unknown') base.count('PrinterFaultCount')
    }
    base.update({ presence: 'ready', state, detail: condition.problem?.detail })
  }

  async function poll(current: Conversation): Promise<void> {
    let silent = 0
    while (talk === current && !base.closing.aborted) {
      const heard = await current.condition().catch(() => undefined)
      if (talk !== current) return
      if (heard === undefined) {
        silent++
        if (silent >= SILENT_POLLS || condition === undefined) {
          condition = undefined
          // What it had in its memory went with its power.
          base.update({
            presence: 'lost',
            state: 'offline',
            detail: 'the printer does not answer: is it switched on?',
          })
        }
      } else {
        silent = 0
        condition = heard
        setLow(heard.paperLow)
        show()
      }
      wake()
      const idleMs = options.pollMs ?? POLL_IDLE_MS
      const pauseMs = jobs > 0 || silent > 0 ? Math.min(pollPrintingMs(options.baudRate), idleMs) : idleMs
      await clock.sleep(pauseMs, base.closing).catch(() => undefined)
    }
  }

  const up = (port: BytePort) => {
    talk = converse(port, clock, options.baudRate, options.profile.dialect)
    dirty = true
    void poll(talk)
  }
  const down = (reason: string) => {
    talk = undefined
    condition = undefined
    base.update({ presence: 'lost', state: 'offline', detail: reason })
    wake()
  }
  const kept = keepPortOpen(openPort, clock, base.closing, { up, down })
  base.onClose(() => kept)

  /** Empties the printer after an interruption; what can't be confirmed is tried again before the next job. */
  async function discard(current: Conversation): Promise<void> {
    dirty = !(await current.clear().catch(() => false))
  }

  async function run(
    job: PrintJob,
    signal: AbortSignal,
    change: (next: JobState) => void,
    state: () => JobState,
  ) {
    const current = talk
    const portions = cutJob(job.bytes, PORTION_BYTES)
    const interrupt = (cause: InterruptCause) => change(nextJob(state(), { kind: 'interrupt', cause }))
    if (current === undefined || condition === undefined) return interrupt('offline')
    if (condition.problem !== undefined) return interrupt(condition.problem.state)
    if (dirty) await discard(current)
    // A printer that knows no clearing has printed or lost its rest by now; the job starts with its own ESC @.
    dirty = false
    jobs++
    show()
    let progressMs = clock.monotonicMs()

    /** True while the job may go on; interrupts it where it may not. */
    const mayGoOn = () => {
      if (state().phase === 'done') return false
      if (signal.aborted) return false
      if (talk !== current || condition === undefined) interrupt('offline')
      else if (condition.problem !== undefined) interrupt(condition.problem.state)
      else if (clock.monotonicMs() - progressMs > NO_PROGRESS_MS + current.wireMs()) interrupt('unknown')
      return outcomeOf(state()) === undefined
    }

    try {
      for (const portion of portions) {
        const size = portion.bytes.length
        const outstanding = () => state().sent - state().acked
        while (outstanding() > 0 && outstanding() + size > windowBytes && mayGoOn())
          await nextChange(POLL_PRINTING_MS, signal)
        if (!mayGoOn()) break
        // Told before it goes: when the port is lost in the middle, some of it may be on paper.
        change(nextJob(state(), { kind: 'sent', end: portion.end }))
        await current.send(portion.bytes, ({ paperLow, paperOut }) => {
          progressMs = clock.monotonicMs()
          if (paperOut) {
            condition = conditionOfPaper(true)
            return wake()
          }
          setLow(paperLow)
          base.count('ReceiptLinePrintedCount', portion.lines)
          base.count('ReceiptCharacterPrintedCount', portion.characters)
          base.count('BarcodePrintedCount', portion.barcodes)
          base.count('PaperCutCount', portion.cuts)
          change(nextJob(state(), { kind: 'acked', end: portion.end }))
          wake()
        })
      }
      while (mayGoOn()) await nextChange(POLL_PRINTING_MS, signal)
    } catch (error) {
      if (!isPosternError(error, 'DEVICE_LOST')) throw error
      interrupt('offline')
    } finally {
      jobs--
      if (state().phase !== 'done') {
        dirty = true
        if (talk === current) await discard(current)
      }
      show()
    }
  }

  async function print(job: PrintJob, signal?: AbortSignal): Promise<PrintOutcome> {
    const { presence } = base.device.status()
    if (presence === 'closed') throw deviceError('DEVICE_CLOSED', `${context.id} is closed`)
    let state = newJob(job.bytes.length)
    const change = (next: JobState) => {
      // Emits phases and acknowledgements while the job lives; a late answer to an ended job is not news.
      if (next === state) return
      state = next
      base.emit({ type: 'job', jobId: job.id, phase: state.phase, bytesAcked: state.acked })
    }
    try {
      await base.operation({ signal, lane: 'print' }, (own) => {
        base.emit({ type: 'job', jobId: job.id, phase: 'queued', bytesAcked: 0 })
        return run(job, own, change, () => state)
      })
    } catch (error) {
      const cause = isPosternError(error, 'ABORTED')
        ? 'aborted'
        : isPosternError(error, 'DEVICE_LOST')
          ? 'offline'
          : undefined
      if (cause === undefined) throw error
      change(nextJob(state, { kind: 'interrupt', cause }))
    }
    const outcome = outcomeOf(state) ?? {
      kind: 'interrupted',
      cause: 'unknown',
      bytesAcked: state.acked,
      bytesSent: state.sent,
    }
    base.count('JobCount')
    if (outcome.kind === 'interrupted') {
      base.count('InterruptedJobCount')
      log.warn('printer.job-interrupted', { device: context.id, job: job.id, ...outcome })
    }
    return outcome
  }

  while (base.device.status().presence === 'starting') await nextChange(POLL_PRINTING_MS, base.closing)
  return { ...base.device, capabilities, paperLow: () => low, print }
}
