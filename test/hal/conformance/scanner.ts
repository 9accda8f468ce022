// Conformance of a scanner's driver with hal/scanner.ts.
import type { Test } from 'tap'
import type { Scan, Scanner } from '../../../hal/scanner.js'
import { codeOf, type DeviceBench, deviceConformance, eventually, opened, within } from './support.js'

/** A bench with barcodes. */
export interface ScannerBench extends DeviceBench<Scanner> {
  /** The engine reads this code now. */
  scan(raw: Uint8Array, aim?: string): void | Promise<void>
  /** True where the engine tells AIM identifiers. */
  readonly tellsAim: boolean
  /** Bytes that the engine's way of sending can't carry, such as its terminator; all go where absent. */
  carries?(byte: number): boolean
  /** True while the engine is lit. */
  lit(): boolean
}

export async function scannerConformance(t: Test, bench: ScannerBench): Promise<void> {
  await deviceConformance(t, bench, (scanner, signal) => scanner.trigger(signal ? { signal } : {}))
  const run = (name: string, body: (t: Test, scanner: Scanner, scans: Scan[]) => Promise<void>) =>
    t.test(name, async (t) => {
      const scanner = await opened(bench)
      const scans: Scan[] = []
      scanner.on((event) => event.type === 'scan' && scans.push(event))
      try {
        await body(t, scanner, scans)
      } finally {
        await scanner.close()
      }
    })
  const text = (content: string) => new Uint8Array(Buffer.from(content, 'utf8'))

  await run('what was read arrives as it is, with its symbology, in order', async (t, scanner, scans) => {
    const codes = [
      text('00340123450000000018'),
      text('包裹 42'),
      Uint8Array.from({ length: 600 }, (_, at) => at),
    ].map((raw) => raw.filter((byte) => bench.carries?.(byte) ?? true))
    for (const [at, raw] of codes.entries()) {
      await bench.scan(raw, 'C1')
      await eventually('the scan', () => scans.length === at + 1)
      t.same(Buffer.from(scans[at]!.raw), Buffer.from(raw))
      if (bench.tellsAim) t.equal(scans[at]!.aim, 'C1')
    }
    t.equal(scanner.statistics()['GoodScanCount'], codes.length)
  })

  await run('a trigger lights the engine until something is read', async (t, scanner, scans) => {
    const trigger = within('trigger', scanner.trigger())
    await eventually('light', () => bench.lit())
    t.equal(scanner.status().state, 'scanning')
    t.equal(await codeOf('second trigger', scanner.trigger()), 'DEVICE_BUSY')
    await bench.scan(text('12345678'))
    await trigger
    t.equal(scans.length, 1)
    await eventually('dark', () => !bench.lit())
    t.equal(scanner.status().state, 'idle')
  })

  await run(
    'a trigger that reads nothing ends at its bound, or at an abort, and goes dark',
    async (t, scanner, scans) => {
      await within('trigger', scanner.trigger({ timeoutMs: 50 }))
      await eventually('dark', () => !bench.lit())
      const stop = new AbortController()
      const code = codeOf('trigger', scanner.trigger({ signal: stop.signal }))
      await eventually('light', () => bench.lit())
      stop.abort()
      t.equal(await code, 'ABORTED')
      await eventually('dark', () => !bench.lit())
      t.same(scans, [])
    },
  )
}
