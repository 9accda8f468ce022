// Conformance of a display's driver with hal/display.ts.
import type { Test } from 'tap'
import type { Display, Frame } from '../../../hal/display.js'
import { isLit } from '../../../hal/frame.js'
import { codeOf, type DeviceBench, deviceConformance, eventually, opened, within } from './support.js'

/** A bench that can look at the glass. */
export interface DisplayBench extends DeviceBench<Display> {
  shown(): Frame
  /** The screen in words, where the panel keeps it. */
  alt?(): readonly string[]
  /** Another program draws over the panel; absent where nobody else can. */
  scribble?(): Promise<void>
}

export async function displayConformance(t: Test, bench: DisplayBench): Promise<void> {
  await deviceConformance(t, bench)

  const run = (name: string, body: (t: Test, display: Display) => Promise<void>) =>
    t.test(name, async (t) => {
      const display = await opened(bench)
      try {
        await body(t, display)
      } finally {
        await display.close()
      }
    })
  const picture = (display: Display, seed: number): Frame => {
    const { width, height } = display.capabilities
    const pixels = Uint16Array.from(
      { length: width * height },
      (_, at) => ((at + seed) * 2_654_435_761) >>> 16,
    )
    return { width, height, pixels }
  }
  /** What the panel ought to show of a frame. */
  const expected = (display: Display, frame: Frame): Uint16Array =>
    display.capabilities.depth === 16
      ? frame.pixels
      : frame.pixels.map((pixel) => (isLit(pixel) ? 0xffff : 0))
  const shows = (display: Display, frame: Frame) =>
    Buffer.from(bench.shown().pixels.buffer).equals(Buffer.from(expected(display, frame).slice().buffer))

  await run('draws exactly the frame, and it is on the glass when the draw resolves', async (t, display) => {
    for (const seed of [1, 2]) {
      const frame = picture(display, seed)
      await within('draw', display.draw(frame, ['first line', `screen ${seed}`]))
      t.ok(shows(display, frame))
      if (bench.alt !== undefined) t.same(bench.alt(), ['first line', `screen ${seed}`])
    }
  })

  await run('sends only what differs, and nothing reuses the caller’s buffer', async (t, display) => {
    const frame = picture(display, 3)
    await within('draw', display.draw(frame, []))
    const before = display.statistics()['PixelCount']!
    const changed: Frame = { ...frame, pixels: frame.pixels.slice() }
    changed.pixels[0] = changed.pixels[0]! ^ 0xffff
    await within('draw', display.draw(changed, []))
    t.ok(shows(display, changed))
    t.ok(
      display.statistics()['PixelCount']! - before <= display.capabilities.width * 8,
      'a corner, not the frame',
    )
    const kept = changed.pixels.slice()
    changed.pixels.fill(0x1234)
    await within('draw', display.draw({ ...changed, pixels: kept }, []))
    t.ok(shows(display, { ...changed, pixels: kept }))
  })

  await run('draws under way coalesce: all resolve, the newest is shown', async (t, display) => {
    const frames = [4, 5, 6, 7, 8].map((seed) => picture(display, seed))
    const before = display.statistics()['FrameCount']!
    await within('draws', Promise.all(frames.map((frame) => display.draw(frame, []))))
    t.ok(shows(display, frames.at(-1)!))
    t.ok(display.statistics()['FrameCount']! - before < frames.length, 'frames in between were left out')
  })

  await run('a frame of another size is refused', async (t, display) => {
    const frame = { width: 3, height: 3, pixels: new Uint16Array(9) }
    t.equal(await codeOf('draw', display.draw(frame, [])), 'DEVICE_UNSUPPORTED')
  })

  await run('the backlight is part of the status', async (t, display) => {
    for (const level of ['dim', 'off', 'on'] as const) {
      await within('backlight', display.setBacklight(level))
      t.equal(display.status().state, level)
    }
  })

  await t.test('a closed display draws nothing', async (t) => {
    const display = await opened(bench)
    await display.close()
    t.equal(await codeOf('draw', display.draw(picture(display, 9), [])), 'DEVICE_CLOSED')
  })

  const { cable, scribble } = bench
  if (scribble !== undefined) {
    await run('what another program drew is painted over whole', async (t, display) => {
      await within('draw', display.draw(picture(display, 10), []))
      await scribble()
      const frame = picture(display, 10)
      frame.pixels[5] = frame.pixels[5]! ^ 0xffff
      await within('draw', display.draw(frame, []))
      t.ok(shows(display, frame))
    })
  }
  if (cable !== undefined) {
    await run(
      'the newest frame is back by itself after a loss, even one drawn meanwhile',
      async (t, display) => {
        await within('draw', display.draw(picture(display, 11), ['old']))
        await cable.unplug()
        await eventually('lost', () => display.status().presence === 'lost')
        const frame = picture(display, 12)
        t.equal(await codeOf('draw while lost', display.draw(frame, ['new'])), 'DEVICE_LOST')
        await cable.plug()
        await eventually('ready', () => display.status().presence === 'ready')
        await eventually('the picture', () => shows(display, frame))
      },
    )
  }
}
