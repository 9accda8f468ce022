// The talk with one printer over one open port: real-time questions one at a time, fences in order, clearing.
import type { Clock } from '../../base/clock.js'
import type { BytePort } from '../../byte-port.js'
import {
  answerReader,
  CLEAR_BUFFER,
  type Condition,
  conditionOf,
  conditionOfPaper,
  DLE_EOT,
  FENCE,
  MECHANISM_FENCE,
  type StatusDialect,
} from './answers.js'

/** A printer answers a real-time command at once; the rest is wire and scheduling. */
const ANSWER_MS = 250
/** Bytes are handed to the port at most this far ahead of the wire, so that a question soon gets through. */
const AHEAD_MS = 50
/** A port that takes no bytes for that long counts as silence: a full USB printer must not hold up its own status. */
const STUCK_MS = 1000

/** What the printer answered behind a portion. */
export interface Acknowledgement {
  readonly paperLow: boolean
  /** The portion may not be on paper. */
  readonly paperOut: boolean
}

export interface Conversation {
  /** Asks for the condition; undefined where the printer is silent. */
  condition(): Promise<Condition | undefined>
  /** Sends bytes at the wire's pace; with a fence behind them, `acked` is called when the printer got there. */
  send(bytes: Uint8Array, acked?: (answer: Acknowledgement) => void): Promise<void>
  /** Forgets open fences and empties the printer's buffer. True where the printer confirmed. */
  clear(): Promise<boolean>
  /** Milliseconds until what was sent is through the wire. */
  wireMs(): number
}

/** Speaks over `port`. `baudRate` undefined = the port paces by itself (USB). */
export function converse(
  port: BytePort,
  clock: Clock,
  baudRate: number | undefined,
  dialect: StatusDialect = 'real-time',
): Conversation {
  const bytesPerMs = baudRate === undefined ? Number.POSITIVE_INFINITY : baudRate / 10_000
  let wireFreeAtMs = 0
  const fence = dialect === 'real-time' ? FENCE : MECHANISM_FENCE
  let fences: ((answer: Acknowledgement) => void)[] = []
  let onStatus: ((byte: number) => void) | undefined
  let onCleared: (() => void) | undefined
  let missed = false
  let lastPaper: Condition | undefined
  let asking: Promise<unknown> = Promise.resolve()

  port.onData(
    answerReader((answer) => {
      switch (answer.kind) {
        case 'status':
          return onStatus?.(answer.byte)
        case 'fence':
          return fences.shift()?.(answer)
        case 'cleared':
          return onCleared?.()
      }
    }, dialect),
  )

  const wireMs = () => Math.max(0, wireFreeAtMs - clock.monotonicMs())
  let writing: Promise<unknown> = Promise.resolve()
  /** One write at a time: a question must not land inside a command. */
  function write(bytes: Uint8Array): Promise<void> {
    const turn = writing.then(() => paced(bytes))
    writing = turn.catch(() => undefined)
    return turn
  }
  async function paced(bytes: Uint8Array): Promise<void> {
    const ahead = wireMs() - AHEAD_MS
    if (ahead > 0) await clock.sleep(ahead)
    wireFreeAtMs = Math.max(wireFreeAtMs, clock.monotonicMs()) + bytes.length / bytesPerMs
    await port.write(bytes)
  }

  /** Waits for one answer to `question`, or until it is overdue. */
  async function ask<T>(
    question: Uint8Array,
    listen: (heard: ((value: T) => void) | undefined) => void,
  ): Promise<T | undefined> {
    const overdue = new AbortController()
    const answer = new Promise<T>((resolve) => listen(resolve))
    try {
      const after = (ms: number) =>
        clock.sleep(ms, overdue.signal).then(
          () => undefined,
          () => undefined,
        )
      const written = write(question).then(() => true)
      if ((await Promise.race([written, after(STUCK_MS + wireMs())])) !== true) {
        written.catch(() => undefined)
        return undefined
      }
      return await Promise.race([answer, after(ANSWER_MS + wireMs())])
    } finally {
      overdue.abort()
      listen(undefined)
    }
  }

  async function status(n: 2 | 3 | 4): Promise<number | undefined> {
    // After a silence an answer may still come late: it must not be taken for the next one's.
    if (missed) await clock.sleep(ANSWER_MS / 2)
    const byte = await ask<number>(DLE_EOT(n), (heard) => {
      onStatus = heard
    })
    missed = byte === undefined
    return byte
  }

  /** Without real-time questions: behind what is being printed there is nothing to ask, its own fences tell. */
  async function conditionInSequence(): Promise<Condition | undefined> {
    if (fences.length > 0) return lastPaper
    if (missed) await clock.sleep(ANSWER_MS / 2)
    let asked: ((answer: Acknowledgement) => void) | undefined
    const answer = await ask<Acknowledgement>(fence, (heard) => {
      if (heard === undefined) return
      asked = heard
      fences.push(heard)
    })
    missed = answer === undefined
    if (answer === undefined) fences = fences.filter((each) => each !== asked)
    lastPaper = answer && conditionOfPaper(answer.paperOut)
    return lastPaper
  }

  async function condition(): Promise<Condition | undefined> {
    if (dialect === 'in-sequence') return conditionInSequence()
    const paper = await status(4)
    if (paper === undefined) return undefined
    const offlineCause = await status(2)
    if (offlineCause === undefined) return undefined
    const error = offlineCause & 0x40 ? await status(3) : 0
    return error === undefined ? undefined : conditionOf({ paper, offlineCause, error })
  }

  /** One question at a time: answers to different n look alike. */
  function inTurn<T>(question: () => Promise<T>): Promise<T> {
    const turn = asking.then(question)
    asking = turn.catch(() => undefined)
    return turn
  }

  return {
    condition: () => inTurn(condition),
    async send(bytes, acked) {
      if (acked === undefined) return write(bytes)
      const fenced = new Uint8Array(bytes.length + fence.length)
      fenced.set(bytes)
      fenced.set(fence, bytes.length)
      fences.push(acked)
      return write(fenced)
    },
    clear: () =>
      inTurn(async () => {
        fences = []
        // Nothing empties a mechanism's buffer: what is in it comes out, and the next job begins with ESC @.
        if (dialect === 'in-sequence') return false
        const cleared = await ask<true>(CLEAR_BUFFER, (heard) => {
          onCleared = heard && (() => heard(true))
        })
        return cleared === true
      }),
    wireMs,
  }
}
