// What the conformance suites share: generous bounds, event logs, a card that does as it is told.
import type { Test } from 'tap'
import { fromHex } from '../../../hal/base/bytes.js'
import { systemClock } from '../../../hal/base/clock.js'
import { isPosternError } from '../../../hal/base/errors.js'
import { silentLog } from '../../../hal/base/log.js'
import type { DriverContext } from '../../../hal/board.js'
import type { Device, DeviceEvent, Presence } from '../../../hal/device.js'
import type { VirtualCard } from '../../../hal/simulated/virtual-card.js'

/** Bound on anything that has to happen at all; far above every guarantee, for machines under load. */
export const BOUND_MS = 45_000

/** Rejects where `work` takes longer than the bound, so that a hang fails by name. */
export async function within<T>(what: string, work: Promise<T>, ms = BOUND_MS): Promise<T> {
  const timer = new AbortController()
  const late = systemClock.sleep(ms, timer.signal).then(
    () => Promise.reject(new Error(`${what}: not within ${ms} ms`)),
    () => new Promise<never>(() => undefined),
  )
  try {
    return await Promise.race([work, late])
  } finally {
    timer.abort()
  }
}

/** Waits until `look` is true; polls, so that it needs nothing of what is under test. */
export async function eventually(what: string, look: () => boolean, ms = BOUND_MS): Promise<void> {
  const end = systemClock.monotonicMs() + ms
  while (!look()) {
    if (systemClock.monotonicMs() > end) throw new Error(`${what}: not within ${ms} ms`)
    await systemClock.sleep(5)
  }
}

/** The code that `work` rejects with; `resolved` where it does not reject. */
export async function codeOf(what: string, work: Promise<unknown>): Promise<string> {
  return within(
    what,
    work.then(
      () => 'resolved',
      (error) => (isPosternError(error) ? error.code : String(error)),
    ),
  )
}

/** A context for the driver under test. */
export function testContext(id: string): DriverContext {
  return { id, clock: systemClock, log: silentLog }
}

export async function untilPresence(device: Device<string, unknown>, presence: Presence): Promise<void> {
  await eventually(`presence ${presence}`, () => device.status().presence === presence)
}

/** Cable of the device, where the bench can pull it. */
export interface Cable {
  unplug(): void | Promise<void>
  plug(): void | Promise<void>
}

export interface DeviceBench<D> {
  /** Opens the driver under test. The suite closes it. */
  open(): Promise<D>
  /** Absent where nothing can be pulled (the suite then names what it skips). */
  readonly cable?: Cable
}

/** Opens the device and waits until it is there: a factory resolves even while it is not. */
export async function opened<D extends Device<string, unknown>>(bench: DeviceBench<D>): Promise<D> {
  const device = await within('open', bench.open())
  await untilPresence(device, 'ready')
  return device
}

/**
 * What `hal/device.ts` promises for every class. `wait` starts an operation that lasts until it is ended, and
 * is undefined for classes that have none.
 */
export async function deviceConformance<D extends Device<string, unknown>>(
  t: Test,
  bench: DeviceBench<D>,
  wait?: (device: D, signal?: AbortSignal) => Promise<unknown>,
): Promise<void> {
  await t.test('opens with identity, a status and counters of its class', async (t) => {
    const device = await opened(bench)
    t.equal(device.status().presence, 'ready')
    t.ok(device.id.length > 0 && device.driver.length > 0)
    const counters = device.statistics()
    t.type(counters['HoursPoweredCount'], 'number')
    t.equal(counters['CommunicationErrorCount'], 0)
    await device.close()
  })

  await t.test('close is idempotent, ends what is under way, frees the device', async (t) => {
    const device = await opened(bench)
    const pending = wait?.(device)
    const code = pending && codeOf('operation at close', pending)
    await within('close', Promise.all([device.close(), device.close()]))
    await within('second close', device.close())
    t.equal(device.status().presence, 'closed')
    if (code !== undefined) t.equal(await code, 'DEVICE_CLOSED')
    if (wait !== undefined) t.equal(await codeOf('operation after close', wait(device)), 'DEVICE_CLOSED')
    const again = await within('open again', bench.open())
    await untilPresence(again, 'ready')
    t.pass('the port and its lock were freed')
    await again.close()
  })

  if (wait !== undefined) {
    await t.test('an abort ends the operation and leaves the device usable', async (t) => {
      const device = await opened(bench)
      for (let round = 0; round < 2; round++) {
        const stop = new AbortController()
        const code = codeOf('aborted operation', wait(device, stop.signal))
        await systemClock.sleep(20)
        stop.abort()
        t.equal(await code, 'ABORTED')
      }
      t.equal(await codeOf('aborted beforehand', wait(device, AbortSignal.abort())), 'ABORTED')
      t.equal(device.status().presence, 'ready')
      await device.close()
    })
  }

  const { cable } = bench
  if (cable === undefined) {
    await t.test('a lost device says so and comes back by itself', { skip: 'the bench has no cable' }, () =>
      Promise.resolve(),
    )
    return
  }
  await t.test('a lost device says so and comes back by itself', async (t) => {
    const device = await opened(bench)
    const seen: Presence[] = ['ready']
    let early = false
    device.on(() => {
      throw new Error('a listener that throws harms nobody')
    })
    device.on((event: DeviceEvent<string, unknown>) => {
      const change = event as { type?: string; status?: { presence: Presence } }
      if (change.type !== 'status' || change.status === undefined) return
      if (device.status().presence !== change.status.presence) early = true
      if (seen.at(-1) !== change.status.presence) seen.push(change.status.presence)
    })
    const silent = device.on(() => t.fail('an unsubscribed listener was called'))
    silent()
    const pending = wait && codeOf('operation at loss', wait(device))
    await systemClock.sleep(20)
    await cable.unplug()
    await untilPresence(device, 'lost')
    if (pending !== undefined) t.equal(await pending, 'DEVICE_LOST')
    if (wait !== undefined) t.equal(await codeOf('operation while lost', wait(device)), 'DEVICE_LOST')
    t.ok(device.statistics()['CommunicationErrorCount']! >= 1, 'the loss is counted')
    await cable.plug()
    await untilPresence(device, 'ready')
    t.same(seen, ['ready', 'lost', 'ready'], 'each change is told once, in order')
    t.notOk(early, 'status() returns the new value when the listener is called')
    await device.close()
  })
  await t.test('a device that is absent at the start appears when it comes', async (t) => {
    await cable.unplug()
    const device = await within('open while absent', bench.open())
    await untilPresence(device, 'lost')
    t.equal(device.statistics()['CommunicationErrorCount'], 0, 'to be absent is no error of communication')
    await cable.plug()
    await untilPresence(device, 'ready')
    await device.close()
  })
}

/** ATR of a T=0 card with five historical bytes. */
export const TEST_ATR = fromHex('3B65000020 63CB6800'.replace(' ', ''))

export interface TestCard extends VirtualCard {
  /** Commands that reached the card. */
  readonly commands: Uint8Array[]
  /** Lets a hanging command (INS EE) be answered. */
  answerNow(): void
}

/**
 * Answers each command by its INS: EE hangs until `answerNow`, 61 and 6C answer those status words, DD has 254 bytes of
 * data, all others echo P1 P2 with 9000.
 */
export function testCard({ mute = false }: { mute?: boolean } = {}): TestCard {
  const commands: Uint8Array[] = []
  let waiting: (() => void)[] = []
  return {
    commands,
    answerNow() {
      for (const answer of waiting.splice(0)) answer()
    },
    powerOn: () => (mute ? undefined : TEST_ATR),
    powerOff() {
      waiting = []
    },
    transmit(command) {
      commands.push(command.slice())
      const echo = Uint8Array.of(command[2] ?? 0, command[3] ?? 0, 0x90, 0x00)
      switch (command[1]) {
        case 0xee:
          return new Promise((resolve) => waiting.push(() => resolve(echo)))
        case 0x61:
          return Uint8Array.of(0x61, 0x10)
        case 0x6c:
          return Uint8Array.of(0x6c, 0x20)
        case 0xdd:
          return Uint8Array.from({ length: 256 }, (_, at) => (at === 254 ? 0x90 : at === 255 ? 0 : at))
        default:
          return echo
      }
    },
  }
}
