// The report on the board's own printer.
import { systemClock } from '../../hal/base/clock.js'
import type { Printer } from '../../hal/printer.js'
import { pageBytes } from '../../hal/self-test.js'

const PRINT_MS = 60_000

/** Prints lines of ASCII; says what came of it. */
export async function printReport(printer: Printer | undefined, lines: readonly string[]): Promise<string> {
  if (printer === undefined) return 'the board has no printer'
  const { columns, cutter } = printer.capabilities
  const bytes = pageBytes(lines, columns, cutter)
  try {
    const id = `hardware-report-${systemClock.nowMs()}`
    const outcome = await printer.print({ id, bytes }, AbortSignal.timeout(PRINT_MS))
    return outcome.kind === 'done' ? 'printed' : `not printed: ${outcome.cause}`
  } catch (error) {
    return `not printed: ${(error as Error).message}`
  }
}
