// A serial wire with its speed: ten bits a byte, a small transmit buffer at the sender, nothing faster than the baud rate.
import type { Clock } from '../base/clock.js'
import { PosternError } from '../base/errors.js'

/** What the sender's kernel holds before `write` has to wait, as in Linux's tty layer. */
const TRANSMIT_BUFFER = 4096
const TICK_MS = 4

export interface PacedWire {
  /** Resolves when all bytes are in the transmit buffer. @throws PosternError `DEVICE_LOST` after `cut` */
  write(bytes: Uint8Array): Promise<void>
  /** The receiver's hardware flow control: a held wire carries nothing. */
  hold(held: boolean): void
  /** Drops what is on the wire and refuses all further writes. */
  cut(): void
}

/** A wire of `baudRate` (8N1) that hands what arrives to `deliver`. */
export function pacedWire(clock: Clock, baudRate: number, deliver: (bytes: Uint8Array) => void): PacedWire {
  const bytesPerMs = baudRate / 10_000
  const queue: Uint8Array[] = []
  let queued = 0
  let held = false
  let dead = false
  let running = false
  let waiting: (() => void)[] = []

  function take(count: number): Uint8Array {
    const out = new Uint8Array(count)
    let at = 0
    while (at < count) {
      const head = queue[0]!
      const part = head.subarray(0, count - at)
      out.set(part, at)
      at += part.length
      if (part.length === head.length) queue.shift()
      else queue[0] = head.subarray(part.length)
    }
    queued -= count
    return out
  }

  async function run(): Promise<void> {
    running = true
    let paidMs = clock.monotonicMs()
    while (!dead && !held && queued > 0) {
      await clock.sleep(Math.max(TICK_MS, 1 / bytesPerMs))
      if (dead || held) break
      // What fitted in the time that has really passed; the fraction of a byte is kept for the next tick.
      const nowMs = clock.monotonicMs()
      const count = Math.min(queued, Math.floor((nowMs - paidMs) * bytesPerMs))
      paidMs = count === queued ? nowMs : paidMs + count / bytesPerMs
      if (count > 0) deliver(take(count))
      if (queued < TRANSMIT_BUFFER) for (const resume of waiting.splice(0)) resume()
    }
    running = false
  }
  const start = () => {
    if (!running && !dead && !held && queued > 0) void run()
  }

  return {
    async write(bytes) {
      let at = 0
      while (at < bytes.length) {
        if (dead) throw new PosternError('DEVICE_LOST', 'the wire was cut')
        const room = TRANSMIT_BUFFER - queued
        if (room <= 0) {
          await new Promise<void>((resolve) => waiting.push(resolve))
          continue
        }
        const part = bytes.slice(at, at + room)
        queue.push(part)
        queued += part.length
        at += part.length
        start()
      }
      if (dead) throw new PosternError('DEVICE_LOST', 'the wire was cut')
    },
    hold(next) {
      held = next
      start()
    },
    cut() {
      dead = true
      queue.length = 0
      queued = 0
      for (const resume of waiting.splice(0)) resume()
      waiting = []
    },
  }
}
