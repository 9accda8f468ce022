// Conformance of an indicators driver with hal/indicators.ts.
import type { Test } from 'tap'
import type { Indicators, Light, LightState } from '../../../hal/indicators.js'
import { codeOf, type DeviceBench, deviceConformance, eventually, opened, within } from './support.js'

/** A bench with eyes and ears. */
export interface IndicatorsBench extends DeviceBench<Indicators> {
  light(light: Light): LightState
  /** Frequencies of the tone that sounds now, or undefined. */
  sounding(): readonly number[] | undefined
}

export async function indicatorsConformance(t: Test, bench: IndicatorsBench): Promise<void> {
  await deviceConformance(t, bench)
  const run = (name: string, body: (t: Test, indicators: Indicators) => Promise<void>) =>
    t.test(name, async (t) => {
      const indicators = await opened(bench)
      try {
        await body(t, indicators)
      } finally {
        await indicators.close()
      }
    })

  await run('each light takes each state', async (t, indicators) => {
    for (const light of indicators.capabilities.lights) {
      for (const state of ['on', 'blink', 'off'] as const) {
        await within('light', indicators.light(light, state))
        await eventually(`${light} ${state}`, () => bench.light(light) === state)
      }
    }
    t.ok(indicators.statistics()['LightChangeCount']! >= 3)
  })

  await run('a tone resolves when it has sounded; a new one takes its place', async (t, indicators) => {
    if (!indicators.capabilities.tones) return t.comment('no buzzer')
    await within(
      'tone',
      indicators.tone([
        { hz: 880, ms: 30 },
        { hz: 0, ms: 10 },
      ]),
    )
    t.equal(bench.sounding(), undefined)
    const long = indicators.tone([{ hz: 440, ms: 2_000 }])
    await eventually('the tone', () => bench.sounding()?.[0] === 440)
    const next = indicators.tone([{ hz: 660, ms: 50 }])
    await within('the replaced tone', long, 1_900)
    await within('the new tone', next)
    t.equal(await codeOf('17 steps', indicators.tone(Array(17).fill({ hz: 1, ms: 1 }))), 'DEVICE_UNSUPPORTED')
  })

  await run('an alarm is heard and seen over everything below it', async (t, indicators) => {
    await within('alarm', indicators.light('secure', 'on', 'alarm'))
    await within('below', indicators.light('secure', 'off'))
    await eventually('the alarm shows', () => bench.light('secure') === 'on')
    await within('below', indicators.light('secure', 'blink', 'low'))
    await within('no alarm', indicators.light('secure', 'off', 'alarm'))
    await eventually('what waited below', () => bench.light('secure') === 'blink')
    await within('dark', indicators.light('secure', 'off', 'low'))
    if (!indicators.capabilities.tones) return t.comment('no buzzer')
    const alarm = indicators.tone(Array(4).fill({ hz: 440, ms: 2_000 }), undefined, 'alarm')
    await eventually('the alarm', () => bench.sounding()?.[0] === 440)
    await within('a click is not heard', indicators.tone([{ hz: 1000, ms: 2_000 }], undefined, 'low'), 1_900)
    t.equal(bench.sounding()?.[0], 440)
    await within('the same priority is', indicators.tone([{ hz: 660, ms: 20 }], undefined, 'alarm'))
    await within('the replaced alarm', alarm, 1_900)
  })

  await run('an aborted tone falls silent', async (t, indicators) => {
    if (!indicators.capabilities.tones) return t.comment('no buzzer')
    const stop = new AbortController()
    const code = codeOf('tone', indicators.tone(Array(16).fill({ hz: 440, ms: 2_000 }), stop.signal))
    await eventually('the tone', () => bench.sounding() !== undefined)
    stop.abort()
    t.equal(await code, 'ABORTED')
    await eventually('silence', () => bench.sounding() === undefined)
  })

  await t.test('a driver that starts finds no light of the one before it', async (t) => {
    const before = await opened(bench)
    await within('light', before.light('secure', 'blink'))
    await before.close()
    const after = await opened(bench)
    await eventually('dark', () => bench.light('secure') === 'off')
    t.equal(after.status().presence, 'ready')
    await after.close()
  })

  await t.test('closed is closed', async (t) => {
    const indicators = await opened(bench)
    await indicators.close()
    t.equal(await codeOf('light', indicators.light('secure', 'on')), 'DEVICE_CLOSED')
  })

  const { cable } = bench
  if (cable === undefined) return
  await run('lights tell the newest story after a loss', async (t, indicators) => {
    await within('light', indicators.light('secure', 'on'))
    await cable.unplug()
    await eventually('lost', () => indicators.status().presence === 'lost')
    t.equal(await codeOf('light while lost', indicators.light('secure', 'off')), 'DEVICE_LOST')
    await cable.plug()
    await eventually('the light is off', () => bench.light('secure') === 'off')
  })
}
