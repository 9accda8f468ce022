// The house's log on pino: one JSON line an event, every string scrubbed of what looks like a card number.
import { pino } from 'pino'
import { type Log, scrubPans } from './log.js'

const MAX_TEXT = 2000

/** Fields by name that are never written, whatever they hold. */
const REDACT = [
  'pan',
  'pin',
  'track1',
  'track2',
  'key',
  'secret',
  'code',
  'passphrase',
  '*.pan',
  '*.pin',
  '*.track2',
  '*.key',
  '*.secret',
]

function scrubbed(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return scrubPans(value.slice(0, MAX_TEXT))
  if (value instanceof Uint8Array) return `[${value.length} bytes]`
  if (typeof value === 'bigint') return scrubPans(value.toString())
  if (typeof value === 'number')
    return Number.isSafeInteger(value) && Math.abs(value) > 99_999_999_999 && String(value).length !== 13
      ? scrubPans(String(value))
      : value
  if (value instanceof Error)
    return scrubPans(
      `${(value as { code?: string }).code ?? value.name}: ${value.message}`.slice(0, MAX_TEXT),
    )
  if (typeof value !== 'object' || value === null) return value
  if (depth === 3) return '[deep]'
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, 40)
      .map(([name, inner]) => [name, scrubbed(inner, depth + 1)]),
  )
}

/** A log that writes to `descriptor` (2, standard error) and names its world in each line. */
export function createLog(
  world: string,
  level: 'debug' | 'info' | 'warn' | 'error' = 'info',
  descriptor = 2,
): Log {
  const target = pino(
    {
      base: { world },
      level,
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: REDACT, censor: '[redacted]' },
    },
    pino.destination({ dest: descriptor, sync: true }),
  )
  const write =
    (severity: 'debug' | 'info' | 'warn' | 'error') =>
    (event: string, fields: Record<string, unknown> = {}) => {
      target[severity](scrubbed(fields) as object, scrubPans(event))
    }
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
}
