// The hardware bus: roles, bounds, several clients, slow wires, the fault table.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { systemClock } from '../../hal/base/clock.js'
import { silentLog } from '../../hal/base/log.js'
import type { DeviceOfClass } from '../../hal/board.js'
import type { DeviceClass } from '../../hal/device.js'
import { connectHardware } from '../../hal/simulated/connect-hardware.js'
import { SIMULATED_DRIVERS } from '../../hal/simulated/drivers.js'
import { FAULTS } from '../../hal/simulated/faults.js'
import { createSimulatedHardware } from '../../hal/simulated/hardware.js'
import { networkStateOfBus, openSimulatedNetwork } from '../../hal/simulated/network-state.js'
import { serveHardware } from '../../hal/simulated/serve-hardware.js'
import type { HandheldReport } from './conformance/handheld-process.js'
import { codeOf, eventually, testCard, testContext, within } from './conformance/support.js'

function bench(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'bus-'))
  const hardware = createSimulatedHardware({ seed: 7 })
  t.teardown(() => {
    hardware.close()
    rmSync(folder, { recursive: true })
  })
  return { hardware, path: (name: string) => join(folder, `${name}.sock`) }
}
const context = { clock: systemClock, log: silentLog }

t.test('a role reaches its own devices only, and the socket is private', async (t) => {
  const { hardware, path } = bench(t)
  const server = await serveHardware(hardware, path('open'), 'open')
  t.equal(statSync(path('open')).mode & 0o777, 0o600)
  const bus = connectHardware(path('open'), context)
  await bus.settled()
  t.equal(bus.role, 'open')
  t.equal(await codeOf('trigger', bus.port('scanner').call('trigger', { on: true })), 'resolved')
  for (const attempt of [
    bus.port('chip-card-reader').call('powerOn', {}),
    bus.port('display').call('backlight', { level: 'off' }),
  ])
    t.equal(await codeOf('secure device', attempt), 'DEVICE_LOST')
  let keys = 0
  bus.port('keypad').on(() => keys++)
  await hardware.keypad.tap('5')
  t.equal(keys, 0, 'no key reaches the open half')
  await bus.close()
  await server.close()
})

t.test('whoever sends nonsense is refused or cut off, and the others go on', async (t) => {
  const { hardware, path } = bench(t)
  const server = await serveHardware(hardware, path('secure'), 'secure')
  const bus = connectHardware(path('secure'), context)
  await bus.settled()
  const say = (bytes: string) =>
    within(
      'answer',
      new Promise<string>((resolve) => {
        const socket = connect(path('secure'))
        let heard = ''
        socket.on('data', (chunk: Buffer) => {
          heard += chunk.toString('utf8')
          if (heard.includes('"error"')) socket.end()
        })
        socket.on('error', () => undefined)
        socket.on('close', () => resolve(heard))
        socket.write(bytes)
      }),
    )
  for (const [command, complaint] of [
    ['{"id":1,"to":"printer","op":"write","params":{}}', 'no such peripheral'],
    ['{"id":1,"to":"__proto__","op":"x","params":{}}', 'no such peripheral'],
    ['{"id":1,"to":"display","op":"constructor","params":{}}', 'no command of that name'],
    ['{"id":1,"to":"display","op":"backlight","params":{"level":"bright"}}', 'display.backlight/level'],
    ['{"id":1,"to":"chip-card-reader","op":"transmit","params":{"cycle":1,"command":"xyz"}}', '/command'],
  ] as const)
    t.match(await say(`${command}\n`), complaint)
  const draw = { base: -1, x: 200, y: 0, width: 99, height: 1, pixels: '', alt: [] }
  t.equal(await codeOf('off the panel', bus.port('display').call('draw', draw)), 'DEVICE_PROTOCOL')
  for (const garbage of ['no json\n', '[]\n', '{"to":"display"}\n', `{"x":"${'a'.repeat(1_100_000)}"}\n`])
    t.notMatch(await say(garbage), '"error"')
  const flood = await say(`${'{"id":1,"to":"display","op":"none","params":{}}\n'.repeat(5_000)}`)
  t.match(flood, 'no command of that name')
  t.equal(await codeOf('others', bus.port('display').call('backlight', { level: 'on' })), 'resolved')
  await bus.close()
  await server.close()
})

t.test('a stale socket is replaced, a live one is not', async (t) => {
  const { hardware, path } = bench(t)
  writeFileSync(path('stale'), '')
  chmodSync(path('stale'), 0o600)
  const server = await serveHardware(hardware, path('stale'), 'secure')
  t.equal(await codeOf('second server', serveHardware(hardware, path('stale'), 'secure')), 'SOCKET_IN_USE')
  await server.close()
  await server.close()
  t.equal(await codeOf('path', serveHardware(hardware, `/${'x'.repeat(120)}`, 'secure')), 'SOCKET_PATH')
})

t.test('several clients hear every event; a bus that is closed hears none', async (t) => {
  const { hardware, path } = bench(t)
  const server = await serveHardware(hardware, path('secure'), 'secure')
  const buses = [1, 2, 3].map(() => connectHardware(path('secure'), context))
  const heard = buses.map((bus) => {
    const events: string[] = []
    bus.port('tamper').on((event) => event.type === 'event' && events.push(event.event.type))
    return events
  })
  await Promise.all(buses.map((bus) => bus.settled()))
  t.equal(server.clients(), 3)
  await buses[2]!.close()
  hardware.tamper.trip('case')
  await eventually('events', () => heard[0]!.length === 1 && heard[1]!.length === 1)
  t.same(heard[2], [])
  await Promise.all(buses.map((bus) => bus.close()))
  await server.close()
})

t.test('a server that speaks another version is not used, and settling is bounded', async (t) => {
  const { path } = bench(t)
  const server = createServer((socket) => {
    socket.write('{"hello":{"version":99,"role":"secure"}}\n{"event":"display","type":"attached"}\n')
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(path('other'), resolve))
  const bus = connectHardware(path('other'), context)
  await within('settled', bus.settled())
  t.equal(await codeOf('call', bus.port('display').call('backlight', { level: 'on' })), 'DEVICE_LOST')
  await bus.close()
  server.close()
})

t.test('a slow wire delays and never reorders', async (t) => {
  const { hardware } = bench(t)
  const bus = hardware.bus('secure')
  const heard: string[] = []
  bus.port('chip-card-reader').on((event) => {
    heard.push(event.type === 'event' ? event.event.type : event.type)
  })
  hardware.slowWire(80)
  const startMs = systemClock.monotonicMs()
  hardware.chip.insert(testCard())
  hardware.slowWire(0)
  hardware.chip.pull()
  t.same(heard, ['attached'])
  await eventually('events', () => heard.length === 3)
  t.same(heard, ['attached', 'inserted', 'removed'])
  t.ok(systemClock.monotonicMs() - startMs >= 75, 'not before its time')
  await bus.close()
})

t.test('card faults: pulled after n commands, torn, hanging, slow', async (t) => {
  const { hardware } = bench(t)
  const port = hardware.bus('secure').port('chip-card-reader')
  const play = async (name: string, args: object, commands: number) => {
    const card = testCard()
    hardware.chip.insert(card)
    hardware.fault(name, args as never)
    const powered = await port.call('powerOn', {})
    if (powered.kind !== 'atr') return { kinds: [powered.kind], reached: 0 }
    const kinds: string[] = []
    for (let at = 0; at < commands; at++) {
      const answer = port.call('transmit', { cycle: powered.cycle, command: '00A40400' })
      const late = systemClock.sleep(40).then(() => ({ kind: 'silent' }))
      kinds.push((await Promise.race([answer, late])).kind)
      await new Promise((resolve) => setImmediate(resolve))
    }
    return { kinds, reached: card.commands.length }
  }
  t.same(await play('cardPulledAfter', { commands: 2 }, 3), {
    kinds: ['response', 'response', 'removed'],
    reached: 2,
  })
  t.equal(hardware.chip.card(), undefined)
  t.same(await play('cardPulledAfter', { commands: 1, torn: true }, 2), {
    kinds: ['response', 'removed'],
    reached: 2,
  })
  t.same(await play('cardHangsAfter', { commands: 1 }, 2), { kinds: ['response', 'silent'], reached: 1 })
  t.same(await play('slowCard', { ms: 5 }, 1), { kinds: ['response'], reached: 1 })
  t.same(await play('muteCard', {}, 1), { kinds: ['mute'], reached: 0 })
  hardware.chip.pull()
  hardware.chip.insert(testCard())
  t.equal((await port.call('powerOn', {})).kind, 'atr', 'a fault leaves with its card')
})

t.test('the fault table says what there is', (t) => {
  const { hardware } = bench(t)
  t.throws(() => hardware.fault('paperOut'), {
    code: 'FAULT_INVALID',
    message: /there are cardPulledAfter, /,
  })
  t.throws(() => hardware.fault('detach', { device: 'toaster' }), {
    code: 'FAULT_INVALID',
    message: /device/,
  })
  t.throws(() => hardware.fault('slowWire', { ms: 9e9 }), { code: 'FAULT_INVALID' })
  let paper = true
  hardware.addFault('paperOut', ({ on }) => {
    paper = on !== true
  })
  hardware.fault('paperOut', { on: true })
  t.notOk(paper)
  t.throws(() => hardware.fault('nothing'), { message: /paperOut$|paperOut,/ })
  for (const row of Object.values(FAULTS)) t.ok(row.says.length > 10)
  hardware.fault('battery', { percent: 3 })
  t.equal(hardware.power.reading().percent, 3)
  t.end()
})

t.test('a power loss darkens panel and lights, resets the card, and leaves it in the slot', async (t) => {
  const { hardware } = bench(t)
  const bus = hardware.bus('secure')
  hardware.chip.insert(testCard())
  const powered = await bus.port('chip-card-reader').call('powerOn', {})
  await bus.port('indicators').call('light', { light: 'secure', state: 'on' })
  hardware.powerLoss()
  t.equal(hardware.indicators.lights().secure, 'off')
  t.equal(hardware.display.backlight(), 'off')
  const cycle = powered.kind === 'atr' ? powered.cycle : 0
  const answer = await bus.port('chip-card-reader').call('transmit', { cycle, command: '00A40400' })
  t.not(answer.kind, 'response')
  t.ok(hardware.chip.card())
  await bus.close()
})

t.test('the network switch is followed over both buses; away means offline', async (t) => {
  const { hardware, path } = bench(t)
  const local = networkStateOfBus(hardware.bus('open'), silentLog)
  const server = await serveHardware(hardware, path('open'), 'open')
  const remote = await openSimulatedNetwork(path('open'), context)
  t.ok(local.online() && remote.online())
  const heard: boolean[] = []
  remote.on(() => {
    throw new Error('harms nobody')
  })
  remote.on((online) => heard.push(online))
  hardware.fault('network', { online: false })
  await eventually('offline', () => !remote.online() && !local.online())
  hardware.network.set(true)
  await eventually('online', () => remote.online())
  await server.close()
  await eventually('away', () => !remote.online())
  t.same(heard, [false, true, false])
  await remote.close()
})

t.test('hardware that is killed is lost, and serves on where it left when it is started again', async (t) => {
  const { path } = bench(t)
  const program = fileURLToPath(new URL('./conformance/handheld-process.js', import.meta.url))
  const start = async () => {
    const child = fork(program, [path('secure')], { execArgv: [] })
    t.teardown(() => child.kill('SIGKILL'))
    await within('start', once(child, 'message'))
    return child
  }
  const open = async <C extends DeviceClass>(deviceClass: C, options: object = {}) => {
    const driver = SIMULATED_DRIVERS.find((each) => each.deviceClass === deviceClass)!
    const all = { socket: path('secure'), ...options }
    return (await driver.open(all as never, testContext(deviceClass))) as unknown as DeviceOfClass[C]
  }
  const first = await start()
  const display = await open('display', { width: 240, height: 320, depth: 16, dpi: 166 })
  const keypad = await open('keypad')
  const keys: string[] = []
  keypad.on((event) => event.type === 'key' && keys.push(event.key))
  const pixels = new Uint16Array(240 * 320)
  pixels[1000] = 42
  await within('draw', display.draw({ width: 240, height: 320, pixels }, ['Amount 12.50']))

  first.kill('SIGKILL')
  await eventually('lost', () => [display, keypad].every((each) => each.status().presence === 'lost'))
  const second = await start()
  await eventually('back', () => [display, keypad].every((each) => each.status().presence === 'ready'))
  second.send('tap')
  await eventually('the key', () => keys.length === 1)
  let report: HandheldReport | undefined
  second.on('message', (message: HandheldReport) => {
    report = message
  })
  await eventually('the picture is back by itself', () => {
    second.send('report')
    return report?.pixelSum === 42
  })
  t.same(report?.alt, ['Amount 12.50'])
  await display.close()
  await keypad.close()
})
