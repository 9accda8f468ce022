// One job's life as data: what is sent, what the printer confirmed, and when it is over.
import type { PrinterEvent, PrinterState, PrintOutcome } from '../../printer.js'

export type JobPhase = Extract<PrinterEvent, { type: 'job' }>['phase']
export type InterruptCause = Exclude<PrinterState, 'ready' | 'busy'> | 'aborted'

export interface JobState {
  readonly phase: JobPhase
  readonly length: number
  readonly sent: number
  readonly acked: number
  readonly cause?: InterruptCause
}

export type JobInput =
  | { readonly kind: 'sent'; readonly end: number }
  | { readonly kind: 'acked'; readonly end: number }
  | { readonly kind: 'interrupt'; readonly cause: InterruptCause }

/** A job that was accepted. */
export function newJob(length: number): JobState {
  return { phase: 'queued', length, sent: 0, acked: 0 }
}

/** The next state; an ended job stays as it ended, acknowledgements only grow. */
export function nextJob(job: JobState, input: JobInput): JobState {
  if (job.phase === 'done' || job.phase === 'interrupted') return job
  switch (input.kind) {
    case 'sent': {
      const sent = Math.max(job.sent, input.end)
      return { ...job, sent, phase: sent === job.length ? 'fenced' : 'sending' }
    }
    case 'acked': {
      const acked = Math.max(job.acked, input.end)
      return acked === job.length ? { ...job, acked, phase: 'done' } : { ...job, acked }
    }
    case 'interrupt':
      return { ...job, phase: 'interrupted', cause: input.cause }
  }
}

/** How it ended, or undefined while it runs. */
export function outcomeOf(job: JobState): PrintOutcome | undefined {
  if (job.phase === 'done') return { kind: 'done' }
  if (job.phase === 'interrupted')
    return { kind: 'interrupted', cause: job.cause ?? 'unknown', bytesAcked: job.acked, bytesSent: job.sent }
  return undefined
}
