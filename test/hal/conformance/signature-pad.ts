// Conformance of a signature pad's driver with hal/signature-pad.ts.
import type { Test } from 'tap'
import type { SignaturePad, StrokePoint } from '../../../hal/signature-pad.js'
import { codeOf, type DeviceBench, deviceConformance, eventually, opened, within } from './support.js'

/** A bench with a pen. */
export interface SignaturePadBench extends DeviceBench<SignaturePad> {
  sign(strokes: readonly (readonly StrokePoint[])[]): void | Promise<void>
  clear(): void | Promise<void>
  /** True while the glass records. */
  capturing(): boolean
}

export async function signaturePadConformance(t: Test, bench: SignaturePadBench): Promise<void> {
  await deviceConformance(t, bench, (pad, signal) => pad.capture(signal))
  const stroke = (points: number): StrokePoint[] =>
    Array.from({ length: points }, (_, at) => ({ x: at % 200, y: (at * 3) % 90, t: at * 8, pressure: 0.5 }))

  await t.test('strokes come with the size of the area; only while a capture waits', async (t) => {
    const pad = await opened(bench)
    await bench.sign([stroke(5)])
    const capture = within('capture', pad.capture())
    await eventually('the glass records', () => bench.capturing())
    t.equal(pad.status().state, 'capturing')
    t.equal(await codeOf('second capture', pad.capture()), 'DEVICE_BUSY')
    await bench.sign([stroke(10), stroke(3)])
    const outcome = await capture
    t.match(outcome, { kind: 'signed' })
    if (outcome.kind === 'signed') {
      t.same(outcome.strokes, [stroke(10), stroke(3)])
      t.ok(outcome.width > 0 && outcome.height > 0)
    }
    await eventually('the glass rests', () => !bench.capturing())
    t.equal(pad.status().state, 'idle')
    t.equal(pad.statistics()['GoodSignatureReadCount'], 1)
    await pad.close()
  })

  await t.test('clear is an outcome, and what is beyond the bounds is dropped', async (t) => {
    const pad = await opened(bench)
    const cleared = within('capture', pad.capture())
    await eventually('the glass records', () => bench.capturing())
    await bench.clear()
    t.same(await cleared, { kind: 'cleared' })
    await eventually('the glass rests', () => !bench.capturing())
    const capture = within('capture', pad.capture())
    await eventually('the glass records', () => bench.capturing())
    await bench.sign([stroke(2_500), ...Array.from({ length: 250 }, () => stroke(1))])
    const outcome = await capture
    t.ok(outcome.kind === 'signed' && outcome.strokes.length === 200 && outcome.strokes[0]!.length === 2_000)
    await pad.close()
  })
}
