// `postern hal`: the self-test of every class on the virtual handheld, what a probe finds, the signed report.
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock, systemRandom } from '../../../hal/base/clock.js'
import { silentLog } from '../../../hal/base/log.js'
import { openBoard, parseBoard } from '../../../hal/board.js'
import { readBoard } from '../../../hal/boards.js'
import { DEVICE_CLASSES } from '../../../hal/device.js'
import { escposDriver } from '../../../hal/drivers/escpos/escpos-driver.js'
import { openDrivers } from '../../../hal/drivers/open-drivers.js'
import { secureDrivers } from '../../../hal/drivers/secure-drivers.js'
import { type SelfTestDesk, selfTest } from '../../../hal/self-test.js'
import { busPrinterPort } from '../../../hal/simulated/bus-byte-port.js'
import { busOptionFields } from '../../../hal/simulated/bus-device.js'
import type { BusRole } from '../../../hal/simulated/bus-protocol.js'
import { simulatedDrivers } from '../../../hal/simulated/drivers.js'
import { EscposMachine } from '../../../hal/simulated/escpos-machine.js'
import { machineSocket } from '../../../hal/simulated/escpos-machine-port.js'
import { createSimulatedHardware } from '../../../hal/simulated/hardware.js'
import { writeTrack } from '../../../hal/stripe-tracks.js'
import { openFileKeyStore } from '../../../runtime/secure/keys/file-key-store.js'
import { probeKernel } from '../../../scripts/hal/probe.js'
import {
  developmentKey,
  deviceKey,
  fingerprint,
  type HardwareReport,
  reportLines,
  signReport,
  verifyReport,
  worst,
} from '../../../scripts/hal/report.js'
import { suggestProfile } from '../../../scripts/hal/suggest.js'
import { eventually, testCard } from '../../hal/conformance/support.js'

const folder = mkdtempSync(join(tmpdir(), 'hal-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

/** The virtual handheld with a person who does what a test says. */
async function bench(t: Test, answer: 'yes' | 'no' | 'unasked' = 'yes') {
  const json = readBoard('virtual-handheld') as {
    devices: Record<string, { class: string; options: Record<string, unknown> }>
  }
  const matrix = json.devices['keypad']!.options['matrix'] as (string | null)[][]
  const hardware = createSimulatedHardware({ matrix: matrix as never })
  const machine = new EscposMachine({ clock: systemClock, rowsPerSecond: 4_000 })
  const wire = await machineSocket(machine, systemClock, { baudRate: 115_200 }).open()
  const port = hardware.printer.attach(wire)
  const drivers = [
    ...simulatedDrivers(({ socket }) => hardware.bus(socket as BusRole)),
    escposDriver(
      'simulated',
      busOptionFields,
      busPrinterPort(({ socket }) => hardware.bus(socket as BusRole)),
      (options) => options,
    ),
  ]
  // Each half of the hardware has its own socket: the profile's parameter is the world's.
  for (const device of Object.values(json.devices))
    device.options['socket'] = ['scanner', 'printer'].includes(device.class) ? 'open' : 'secure'
  const params = { secureElement: join(folder, 'element'), fiscalSigner: join(folder, 'fiscal') }
  const { profile, problems } = parseBoard(json, drivers, { params })
  t.same(problems, [])
  const board = await openBoard(profile, drivers, { clock: systemClock, log: silentLog })
  t.teardown(async () => {
    await board.close()
    port()
    machine.close()
    await hardware.close()
  })
  const questions: string[] = []
  const desk: SelfTestDesk = {
    tell(text) {
      if (text.startsWith('Put a chip')) hardware.chip.insert(testCard())
      else if (text.startsWith('Take the card')) hardware.chip.pull()
      else if (text.startsWith('Hold a contactless')) hardware.contactless.tap(testCard())
      else if (text.startsWith('Swipe'))
        void eventually(
          'armed',
          () => board.device('magnetic-stripe-reader')?.status().state === 'armed',
        ).then(() =>
          hardware.stripe.swipe({
            track1: undefined,
            track2: writeTrack(2, '9999990000000360=35122010000012300000'),
          }),
        )
      else if (text.startsWith('Press every key')) void typeAll()
      else if (text.startsWith('Hold a barcode'))
        void eventually('lit', () => hardware.scanner.lit()).then(() =>
          hardware.scanner.scan(new Uint8Array(Buffer.from('PARCEL-1')), 'C0'),
        )
      else if (text.startsWith('Sign'))
        void eventually('capturing', () => hardware.signature.capturing()).then(() =>
          hardware.signature.sign([
            [
              { x: 1, y: 1, t: 0 },
              { x: 9, y: 9, t: 20 },
            ],
          ]),
        )
    },
    async confirm(question) {
      questions.push(question)
      return answer
    },
  }
  async function typeAll(): Promise<void> {
    for (const key of matrix.flat()) {
      if (key === null) continue
      hardware.keypad.press(key as never)
      await systemClock.sleep(60)
      hardware.keypad.release(key as never)
      await systemClock.sleep(60)
    }
  }
  const run = async (id: string, signal = AbortSignal.timeout(45_000)) => {
    const steps = []
    const device = board.devices.find((each) => each.id === id)!
    for await (const step of selfTest(device, { desk, clock: systemClock, signal, page: ['A PAGE'] }))
      steps.push(step)
    return steps
  }
  return { hardware, board, run, questions, machine }
}

t.test('every class of device passes its self-test on the virtual handheld', async (t) => {
  const { board, run, questions } = await bench(t)
  t.same([...new Set(board.devices.map((each) => each.deviceClass))].sort(), [...DEVICE_CLASSES].sort())
  for (const { id } of board.devices) {
    const steps = await run(id)
    t.equal(worst(steps.map(({ outcome }) => outcome)), 'passed', `${id}: ${JSON.stringify(steps)}`)
    t.ok(steps.length >= 2, id)
    t.notMatch(JSON.stringify(steps), '9999990000000360', 'a card number is in no report')
  }
  t.ok(questions.some((question) => question.includes('page')))
})

t.test('what fails, what nobody saw, what is not there, what takes too long', async (t) => {
  const no = await bench(t, 'no')
  t.match(await no.run('display'), [{}, { name: 'draw' }, { name: 'picture', outcome: 'failed' }, {}])
  no.hardware.tamper.trip('case')
  await eventually('seen', () => no.board.device('tamper')!.status().state === 'tampered')
  t.match(await no.run('tamper'), [{ outcome: 'passed' }, { outcome: 'failed', detail: 'tampered' }])
  no.hardware.detach('display')
  await eventually('lost', () => no.board.device('display')!.status().presence === 'lost')
  t.match(await no.run('display'), [{ name: 'presence', outcome: 'failed', detail: /lost/ }])
  t.match(await no.run('keypad', AbortSignal.timeout(20)), [
    {},
    { name: 'keys', outcome: 'failed', detail: /not pressed/ },
  ])
  t.match(await no.run('contactless', AbortSignal.abort()), [{}, { outcome: 'failed', detail: /cancelled/ }])
  const alone = await bench(t, 'unasked')
  const steps = await alone.run('indicators')
  t.equal(worst(steps.map(({ outcome }) => outcome)), 'unseen')
})

t.test('a report is signed by the key of the terminal, and a changed one is refused', async (t) => {
  const report: HardwareReport = {
    kind: 'postern-hardware-report',
    version: 1,
    board: 'virtual-handheld',
    at: '2026-01-01T00:00:00.000Z',
    host: { name: 'bench', machine: 'x64', kernel: '6.1', node: '24.0.0' },
    signer: 'device',
    problems: ['/devices/x: a problem'],
    devices: [
      {
        id: 'chip',
        class: 'chip-card-reader',
        driver: 'pcsc',
        outcome: 'failed',
        steps: [{ name: 'power', outcome: 'failed', detail: 'mute' }],
        statistics: { GoodReadCount: 1 },
      },
    ],
    outcome: 'failed',
  }
  const open = () =>
    openFileKeyStore({
      folder: join(folder, 'keys'),
      passphrase: Buffer.from('a passphrase'),
      random: systemRandom,
    })
  const store = await open()
  const key = await deviceKey(store)
  store.close()
  const again = await open()
  t.equal(
    fingerprint(createPublicKey(await deviceKey(again))),
    fingerprint(createPublicKey(key)),
    'kept in the key store',
  )
  again.close()
  const signed = signReport(report, key)
  t.same(verifyReport(JSON.parse(JSON.stringify(signed)), createPublicKey(key)).report, report)
  const other = generateKeyPairSync('ed25519')
  const refused = (json: unknown, trusted?: typeof other.publicKey) => {
    try {
      verifyReport(json, trusted)
      return 'taken'
    } catch (error) {
      return (error as { code: string }).code
    }
  }
  t.equal(refused({ ...signed, body: signed.body.replace('"failed"', '"passed"') }), 'REPORT_REFUSED')
  t.equal(refused(signed, other.publicKey), 'REPORT_REFUSED', 'another key than the one that is trusted')
  t.equal(refused({ ...signed, key: 'AAAA' }), 'REPORT_REFUSED')
  t.equal(refused(report), 'REPORT_REFUSED')
  t.equal(refused(signReport({ ...report, version: 2 } as never, key)), 'REPORT_REFUSED')
  const lines = reportLines(report, signed)
  for (const part of ['chip (pcsc): FAILED', '  power: mute', '! /devices/x: a problem', 'Result: FAILED'])
    t.ok(lines.includes(part), part)
  const pem = join(folder, 'dev', 'report.pem')
  t.equal(
    fingerprint(createPublicKey(developmentKey(pem))),
    fingerprint(createPublicKey(developmentKey(pem))),
  )
  t.equal(statSync(pem).mode & 0o777, 0o600)
})

t.test('a probe reads the kernel, and suggests a profile that the drivers take', async (t) => {
  const [sys, dev] = [join(folder, 'sys'), join(folder, 'devices')]
  const put = (path: string, content = '') => {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
  }
  put(join(sys, 'class/tty/ttyS0/type'), '4\n')
  mkdirSync(join(sys, 'class/tty/ttyS0/device'))
  put(join(sys, 'class/tty/ttyS1/type'), '0\n')
  mkdirSync(join(sys, 'class/tty/ttyS1/device'))
  mkdirSync(join(sys, 'class/tty/ttyACM0/device'), { recursive: true })
  put(join(dev, 'ttyACM0'))
  mkdirSync(join(dev, 'serial/by-id'), { recursive: true })
  symlinkSync('../../ttyACM0', join(dev, 'serial/by-id/usb-Scanner_1-if00'))
  put(join(sys, 'class/input/event0/device/name'), 'gpio-keys\n')
  put(join(sys, 'class/input/event0/device/capabilities/key'), '10000ffe\n')
  put(join(sys, 'class/input/event1/device/name'), 'goodix\n')
  put(join(sys, 'class/input/event1/device/capabilities/key'), '400 0 0 0 0 0\n')
  put(join(sys, 'class/input/event2/device/name'), 'AT keyboard\n')
  put(
    join(sys, 'class/input/event2/device/capabilities/key'),
    '402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe\n',
  )
  put(join(sys, 'class/graphics/fb0/virtual_size'), '480,800\n')
  put(join(sys, 'class/graphics/fb0/name'), 'ili9806\n')
  put(join(sys, 'class/graphics/fb0/bits_per_pixel'), '16\n')
  put(join(sys, 'class/backlight/panel/max_brightness'), '255\n')
  put(join(sys, 'class/power_supply/bat0/type'), 'Battery\n')
  mkdirSync(join(sys, 'class/tpmrm/tpmrm0'), { recursive: true })
  const found = probeKernel({ sys, dev })
  t.match(
    found.map(({ kind, name }) => `${kind} ${name}`),
    [
      'serial ttyACM0',
      'serial ttyS0',
      'input keypad: gpio-keys',
      'input touch: goodix',
      'input keyboard: AT keyboard',
      'framebuffer ili9806 480x800, 16 bits',
      'power Battery',
      'backlight to 255',
      'tpm TPM 2.0',
    ],
  )
  t.equal(found[0]!.at, join(dev, 'serial/by-id/usb-Scanner_1-if00'), 'a name that stays')
  const { profile, questions } = suggestProfile([
    { kind: 'reader', at: 'pcscd', name: 'ACME Dual PICC 01 00' },
    { kind: 'reader', at: 'pcscd', name: 'ACME Dual ICC 00 00' },
    ...found,
  ])
  t.match(profile.devices, {
    display: {
      driver: 'framebuffer',
      options: { framebuffer: 0, width: 480, height: 800, backlight: 'panel' },
    },
    keypad: { driver: 'evdev' },
    signature: { driver: 'evdev' },
    chip: { driver: 'pcsc', options: { reader: 'ACME Dual ICC 00 00' } },
    contactless: { driver: 'pcsc', options: { reader: 'ACME Dual PICC 01 00' } },
    printer: { driver: 'escpos-serial' },
    power: { driver: 'power-supply' },
    'secure-element': { driver: 'tpm2' },
  })
  t.ok(questions.length >= 3)
  const drivers = [...secureDrivers(systemClock), ...openDrivers(systemClock)]
  const parsed = parseBoard(profile, drivers)
  t.same(parsed.problems, [], 'the drivers take it as it is')
  t.equal(parsed.profile.devices.length, Object.keys(profile.devices).length)
  t.match(suggestProfile([{ kind: 'i2c', at: '/dev/i2c-1 3C', name: 'OLED' }]).profile.devices, {
    display: { driver: 'ssd1306', options: { bus: 1, address: 60 } },
  })
  t.same(suggestProfile([]).profile.devices, {})
})
