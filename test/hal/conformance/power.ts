// Conformance of a power driver with hal/power.ts.
import type { Test } from 'tap'
import type { Power, PowerReading } from '../../../hal/power.js'
import { type DeviceBench, deviceConformance, eventually, opened } from './support.js'

/** A bench with a battery that can be set. */
export interface PowerBench extends DeviceBench<Power> {
  set(reading: Partial<PowerReading>): void | Promise<void>
}

export async function powerConformance(t: Test, bench: PowerBench): Promise<void> {
  await bench.set({ source: 'battery', percent: 80 })
  await deviceConformance(t, bench)
  await t.test('levels have thresholds with hysteresis; readings are told', async (t) => {
    const power = await opened(bench)
    const levels: string[] = []
    const readings: number[] = []
    power.on((event) => {
      if (event.type === 'status') levels.push(event.status.state)
      else readings.push(event.reading.percent)
    })
    t.match(power.reading(), { source: 'battery', percent: 80 })
    const steps = [
      [16, 'ok'],
      [15, 'low'],
      [16.5, 'low'],
      [17, 'ok'],
      [5, 'critical'],
      [6.5, 'critical'],
      [7, 'low'],
      [40, 'ok'],
    ] as const
    for (const [percent, level] of steps) {
      await bench.set({ percent })
      await eventually(`${percent} %`, () => power.reading().percent === percent)
      t.equal(power.status().state, level, `${percent} % is ${level}`)
    }
    t.same(levels, ['low', 'ok', 'critical', 'low', 'ok'])
    t.same(
      readings,
      steps.map(([percent]) => percent),
    )
    await bench.set({ source: 'external' })
    await eventually('the charger', () => power.reading().source === 'external')
    t.ok(power.statistics()['LowBatteryCount']! >= 1)
    await power.close()
    await bench.set({ source: 'battery' })
  })
}
