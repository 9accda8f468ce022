// Conformance of a tamper driver with hal/tamper.ts.
import type { Test } from 'tap'
import type { Tamper } from '../../../hal/tamper.js'
import { type DeviceBench, deviceConformance, eventually, opened } from './support.js'

/** A bench with a case to open. */
export interface TamperBench extends DeviceBench<Tamper> {
  trip(sensor: string): void | Promise<void>
  /** The technician's procedure. */
  clear(): void | Promise<void>
}

export async function tamperConformance(t: Test, bench: TamperBench): Promise<void> {
  await bench.clear()
  await deviceConformance(t, bench)

  await t.test('an opened case is told once and stays told', async (t) => {
    const tamper = await opened(bench)
    const sensors: string[] = []
    tamper.on((event) => event.type === 'tamper' && sensors.push(event.sensor))
    t.equal(tamper.status().state, 'intact')
    await bench.trip('case')
    await eventually('tampered', () => tamper.status().state === 'tampered')
    await bench.trip('case')
    await bench.trip('mesh')
    await eventually('the second sensor', () => sensors.length === 2)
    t.same(sensors, ['case', 'mesh'])
    await tamper.close()
    const again = await opened(bench)
    t.equal(again.status().state, 'tampered', 'latched over a restart of the driver')
    await bench.clear()
    await eventually('intact', () => again.status().state === 'intact')
    await again.close()
  })

  const { cable } = bench
  if (cable === undefined) return
  await t.test('what happened while nobody listened is told', async (t) => {
    const tamper = await opened(bench)
    const sensors: string[] = []
    tamper.on((event) => event.type === 'tamper' && sensors.push(event.sensor))
    await cable.unplug()
    await eventually('lost', () => tamper.status().presence === 'lost')
    await bench.trip('case')
    await cable.plug()
    await eventually('tampered', () => tamper.status().state === 'tampered')
    t.same(sensors, ['case'])
    await tamper.close()
    await bench.clear()
  })
}
