// What benchmarks share: a row of the table, medians, and rates over a fixed span of time.
import { systemClock } from '../../hal/base/clock.js'

/** A line of the table. */
export interface Row {
  readonly what: string
  readonly value: number
  readonly unit: 'ms' | 'MB' | '/s' | 'µs' | 'B'
  /** What was measured beside it in the same run: another program's way, or the limit of the machine. */
  readonly peer?: { readonly what: string; readonly value: number }
}

/** A benchmark file, `*.bench.ts`, exports one. */
export interface Bench {
  readonly title: string
  run(tell: (line: string) => void): Promise<readonly Row[]>
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => unknown): Promise<number> {
  const begin = systemClock.monotonicMs()
  await work()
  return systemClock.monotonicMs() - begin
}

const SPAN_MS = 400
const ROUNDS = 3

/** How often a second each of `works` can be done: in turns, so that a busy moment of the machine hits all alike; medians. */
export function ratesPerSecond(works: readonly (() => unknown)[]): number[] {
  const rates = works.map((): number[] => [])
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [at, work] of works.entries()) {
      let count = 0
      const begin = performance.now()
      let now = begin
      for (; now - begin < SPAN_MS; now = performance.now(), count++) work()
      // The first round warms up.
      if (round > 0) rates[at]!.push((count * 1000) / (now - begin))
    }
  }
  return rates.map(median)
}
