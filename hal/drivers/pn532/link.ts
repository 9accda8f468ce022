// The conversation with a PN532 on a serial line: wake-up, command, ACK, answer, asking again, giving up. NXP UM0701-02, 6.2, 6.3.
import type { Clock } from '../../base/clock.js'
import { createGate } from '../../base/gate.js'
import type { BytePort } from '../../byte-port.js'
import { deviceError } from '../../device-base.js'
import { ACK, createFrameReader, encodeFrame, NACK, type Pn532Frame, TFI } from './frames.js'

/** The chip acknowledges within 15 ms (6.2.1.3); a serial adapter and a busy machine take their time. */
const ACK_MS = 400
const TRIES = 3
/** A line that is silent so long has nothing more on its way: 264 bytes take 24 ms at 115,200 baud. */
const QUIET_MS = 40
const MOST_LATE = 8
/** Leaves power-down by any bytes (6.3.2.3); the rest gives the oscillator its time at every rate. */
const WAKE_UP = Uint8Array.of(0x55, 0x55, ...new Uint8Array(14))

export interface Pn532Link {
  /** Wakes the chip and ends what an earlier process left under way. */
  wake(): Promise<void>
  /**
   * Sends a command (code and parameters) and resolves with the answer's bytes behind its code. One at a time: others wait.
   * Where `signal` fires or the time is up the chip is told to stop by an ACK.
   * @throws DeviceError `DEVICE_LOST` where it takes no command, `DEVICE_TIMEOUT` where it took it and says no more,
   * `DEVICE_PROTOCOL`, the signal's reason, whatever the port throws
   */
  command(
    body: Uint8Array,
    options: { readonly signal?: AbortSignal; readonly timeoutMs: number },
  ): Promise<Uint8Array>
}

export function pn532Link(port: BytePort, clock: Clock): Pn532Link {
  const reader = createFrameReader()
  const arrived = createGate()
  let frames: Pn532Frame[] = []
  let turn: Promise<unknown> = Promise.resolve()
  port.onData((bytes) => {
    frames.push(...reader.push(bytes))
    arrived.notify()
  })

  /** The next frame, or undefined when the time is up. Rejects with the signal's reason. */
  async function next(ms: number, signal: AbortSignal | undefined): Promise<Pn532Frame | undefined> {
    const timer = new AbortController()
    const late = clock.sleep(ms, timer.signal).then(
      () => undefined,
      () => new Promise<never>(() => undefined),
    )
    const own = signal === undefined ? timer.signal : AbortSignal.any([signal, timer.signal])
    const frame = arrived.until(() => frames.shift(), own)
    frame.catch(() => undefined)
    try {
      return await Promise.race([frame, late])
    } finally {
      timer.abort()
    }
  }

  /** The chip has taken the command. */
  async function acknowledged(frame: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      frames = []
      await port.write(frame)
      const until = clock.monotonicMs() + ACK_MS
      for (;;) {
        const answer = await next(Math.max(1, until - clock.monotonicMs()), signal)
        if (answer?.kind === 'ack') return
        // A late answer to what was given up is passed over.
        if (answer?.kind !== 'data') break
      }
    }
    throw deviceError('DEVICE_LOST', 'the PN532 does not answer')
  }

  async function answered(
    code: number,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    const until = clock.monotonicMs() + timeoutMs
    for (let broken = 0; ; ) {
      const frame = await next(Math.max(1, until - clock.monotonicMs()), signal)
      switch (frame?.kind) {
        case undefined:
          throw deviceError('DEVICE_TIMEOUT', 'the PN532 is silent', { command: code, ms: timeoutMs })
        case 'data':
          if (frame.tfi === TFI.chip && frame.data[0] === code + 1) return frame.data.subarray(1)
          // The late answer to a command that was given up.
          break
        case 'error':
          throw deviceError('DEVICE_PROTOCOL', 'the PN532 does not know this command', { command: code })
        case 'broken':
          if (++broken > TRIES) throw deviceError('DEVICE_PROTOCOL', 'the line to the PN532 is disturbed')
          await port.write(NACK)
          break
        case 'ack':
        case 'nack':
          break
      }
    }
  }

  /** What was on its way when a command was ended must not be taken for the answer to the next one. */
  async function drain(): Promise<void> {
    for (let frame = 0; frame < MOST_LATE; frame++)
      if ((await next(QUIET_MS, undefined)) === undefined) return
  }

  async function talk(
    body: Uint8Array,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    if (signal?.aborted) throw signal.reason
    const frame = encodeFrame(body)
    try {
      await acknowledged(frame, signal)
      return await answered(body[0]!, timeoutMs, signal)
    } catch (error) {
      // NOTE: 6.2.1.3: an ACK from the host ends the command under way; harmless where none is.
      await port.write(ACK).catch(() => undefined)
      await drain()
      throw error
    } finally {
      // It may have held a PIN.
      frame.fill(0)
    }
  }

  return {
    async wake() {
      await port.write(WAKE_UP)
      await port.write(ACK)
    },
    command(body, { signal, timeoutMs }) {
      const mine = turn.then(() => talk(body, timeoutMs, signal))
      turn = mine.catch(() => undefined)
      return mine
    },
  }
}
