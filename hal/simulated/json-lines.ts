// JSON, one object a line, bounded: the framing of the hardware bus.
import type { Duplex } from 'node:stream'

export interface JsonLines {
  /** False where the line was too long or the stream is gone. */
  send(message: object): boolean
  end(): void
}

/** Bytes that may wait for a reader that has stopped; beyond it the stream is cut. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024
/** Lines that may wait to be handled; beyond it the stream is not read until half of them are done. */
const MAX_WAITING_LINES = 1_000

/**
 * Frames `stream`. Each line is delivered in its own turn of the event loop, so that what was caused by one line
 * has happened before the next is looked at. A line beyond `maxBytes`, or one that is no JSON object, ends the stream.
 */
export function jsonLines(
  stream: Duplex,
  maxBytes: number,
  onMessage: (message: Record<string, unknown>) => void,
  onEnd: (reason: string) => void,
): JsonLines {
  let partial: Buffer[] = []
  let partialBytes = 0
  const lines: string[] = []
  let pumping = false
  let ended = false

  const end = (reason: string) => {
    if (ended) return
    ended = true
    stream.destroy()
    onEnd(reason)
  }
  const pump = () => {
    pumping = false
    const line = lines.shift()
    if (ended || line === undefined) return
    let message: unknown
    try {
      message = JSON.parse(line)
    } catch {
      return end('not JSON')
    }
    if (typeof message !== 'object' || message === null || Array.isArray(message)) return end('not an object')
    onMessage(message as Record<string, unknown>)
    if (stream.isPaused() && lines.length < MAX_WAITING_LINES / 2) stream.resume()
    schedule()
  }
  const schedule = () => {
    if (pumping || lines.length === 0) return
    pumping = true
    setImmediate(pump)
  }

  stream.on('data', (chunk: Buffer) => {
    let from = 0
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      partial.push(chunk.subarray(from, at))
      const line = Buffer.concat(partial)
      partial = []
      partialBytes = 0
      from = at + 1
      if (line.length > maxBytes) return end('line too long')
      lines.push(line.toString('utf8'))
    }
    const rest = chunk.subarray(from)
    if (rest.length > 0) partial.push(rest)
    partialBytes += rest.length
    if (partialBytes > maxBytes) return end('line too long')
    if (lines.length > MAX_WAITING_LINES) stream.pause()
    schedule()
  })
  stream.on('error', (error) => end(error.message))
  stream.on('close', () => end('closed'))
  stream.on('end', () => end('closed'))

  return {
    send(message) {
      if (ended || stream.destroyed) return false
      const line = Buffer.from(`${JSON.stringify(message)}\n`, 'utf8')
      if (line.length > maxBytes) return false
      if (stream.writableLength > MAX_WAITING_BYTES) {
        end('the reader has stopped')
        return false
      }
      stream.write(line)
      return true
    },
    end: () => end('closed here'),
  }
}
