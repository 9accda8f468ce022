// The log trait, and the scrubber that keeps card numbers out of whatever is logged.

/** Structured log: a stable event name and safe fields. Implementations scrub before they write. */
export interface Log {
  debug(event: string, fields?: Record<string, unknown>): void
  info(event: string, fields?: Record<string, unknown>): void
  warn(event: string, fields?: Record<string, unknown>): void
  error(event: string, fields?: Record<string, unknown>): void
}

/** A log that keeps nothing. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }

function luhnValid(digits: string): boolean {
  let sum = 0
  for (let i = digits.length - 1, double = false; i >= 0; i--, double = !double) {
    const digit = digits.charCodeAt(i) - 48
    sum += double ? (digit > 4 ? digit * 2 - 9 : digit * 2) : digit
  }
  return sum % 10 === 0
}

/**
 * Replaces what looks like a PAN (12 to 19 digits, single spaces or dashes allowed, Luhn-valid) by its first six
 * and last four digits (PCI DSS 3.4). Long digit runs are scanned at every offset.
 */
export function scrubPans(text: string): string {
  return text.replace(/\d(?:[ -]?\d){11,39}/g, (run) => {
    const digits = run.replace(/\D/g, '')
    for (let length = Math.min(19, digits.length); length >= 12; length--) {
      for (let at = 0; at + length <= digits.length; at++) {
        const candidate = digits.slice(at, at + length)
        if (luhnValid(candidate)) {
          return `${digits.slice(0, at)}${candidate.slice(0, 6)}${'*'.repeat(length - 10)}${candidate.slice(-4)}${digits.slice(at + length)}`
        }
      }
    }
    return run
  })
}

/** Masks a PAN for screens and logs: first six, last four (PCI DSS 3.4.1). `paper` keeps the last four only. */
export function maskPan(digits: string, paper = false): string {
  const last = digits.slice(-4)
  return paper
    ? `${'*'.repeat(Math.max(0, digits.length - 4))}${last}`
    : `${digits.slice(0, 6)}${'*'.repeat(Math.max(0, digits.length - 10))}${last}`
}
