// Every simulated driver against its class's conformance suite, over whatever bus the caller brings.
import { createPublicKey, verify } from 'node:crypto'
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { systemClock } from '../../../hal/base/clock.js'
import type { DeviceOfClass, Driver } from '../../../hal/board.js'
import type { DeviceClass } from '../../../hal/device.js'
import { escposDriver } from '../../../hal/drivers/escpos/escpos-driver.js'
import { busPrinterPort } from '../../../hal/simulated/bus-byte-port.js'
import { type BusConnector, busOptionFields } from '../../../hal/simulated/bus-device.js'
import type { BusRole, PeripheralName } from '../../../hal/simulated/bus-protocol.js'
import { simulatedDrivers } from '../../../hal/simulated/drivers.js'
import { EscposMachine } from '../../../hal/simulated/escpos-machine.js'
import { machineSocket } from '../../../hal/simulated/escpos-machine-port.js'
import type { SimulatedHardware } from '../../../hal/simulated/hardware.js'
import { chipCardReaderConformance } from './chip-card-reader.js'
import { contactlessReaderConformance } from './contactless-reader.js'
import { displayConformance } from './display.js'
import { fiscalSignerConformance } from './fiscal-signer.js'
import { indicatorsConformance } from './indicators.js'
import { keypadConformance } from './keypad.js'
import { magneticStripeReaderConformance } from './magnetic-stripe-reader.js'
import { powerConformance } from './power.js'
import { printerConformance } from './printer.js'
import { scannerConformance } from './scanner.js'
import { secureElementConformance } from './secure-element.js'
import { signaturePadConformance } from './signature-pad.js'
import { type Cable, testContext } from './support.js'
import { tamperConformance } from './tamper.js'

/** Whose half of the hardware a device is in. */
export const roleOf = (device: DeviceClass | PeripheralName): BusRole =>
  device === 'scanner' || device === 'printer' ? 'open' : 'secure'

/** A handheld and the way to it. */
export interface SimulatedBench {
  readonly hardware: SimulatedHardware
  readonly connect: BusConnector
  readonly socket: (role: BusRole) => string
  /** In the process the device's plug is pulled; over the socket the whole handheld dies and comes back. */
  cable(device: PeripheralName): Cable
}

/** Wiring of the keypad that the bench's hardware has to have. */
export const MATRIX = [
  ['1', '2', '3'],
  ['4', '5', '6'],
] as const

/** Runs every suite, one after the other. */
export function simulatedConformance(
  t: Test,
  { hardware, connect, socket, cable }: SimulatedBench,
): Promise<void> {
  const drivers: readonly Driver[] = [
    ...simulatedDrivers(connect),
    escposDriver('simulated', busOptionFields, busPrinterPort(connect), (options) => options),
  ]
  const opener =
    <C extends DeviceClass>(deviceClass: C, options: object = {}) =>
    async (): Promise<DeviceOfClass[C]> => {
      const driver = drivers.find((each) => each.deviceClass === deviceClass)!
      const all = { socket: socket(roleOf(deviceClass)), ...options }
      return (await driver.open(all as never, testContext(deviceClass))) as never
    }
  const folder = mkdtempSync(join(tmpdir(), 'secure-element-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const machine = new EscposMachine({ clock: systemClock, rowsPerSecond: 4_000 })
  t.teardown(() => machine.close())

  const all: readonly [string, (t: Test) => Promise<void>][] = [
    [
      'chip card reader',
      (t) =>
        chipCardReaderConformance(t, {
          open: opener('chip-card-reader'),
          insert: (card) => hardware.chip.insert(card),
          pull: () => hardware.chip.pull(),
          cable: cable('chip-card-reader'),
        }),
    ],
    [
      'contactless reader',
      (t) =>
        contactlessReaderConformance(t, {
          open: opener('contactless-reader'),
          tap: (card) => hardware.contactless.tap(card),
          leave: () => hardware.contactless.leave(),
          field: () => hardware.contactless.on(),
          cable: cable('contactless-reader'),
        }),
    ],
    [
      'magnetic stripe reader',
      (t) =>
        magneticStripeReaderConformance(t, {
          open: opener('magnetic-stripe-reader'),
          swipe: (track1, track2) => hardware.stripe.swipe({ track1, track2 }),
          cable: cable('magnetic-stripe-reader'),
        }),
    ],
    [
      'keypad',
      (t) =>
        keypadConformance(t, {
          open: opener('keypad', { matrix: MATRIX }),
          press: (key) => hardware.keypad.press(key),
          release: (key) => hardware.keypad.release(key),
          ghost: { pressed: ['1', '2', '4'], ghost: '5' },
          cable: cable('keypad'),
        }),
    ],
    ...[{ width: 240, height: 320, depth: 16, dpi: 166 } as const].map(
      (size): [string, (t: Test) => Promise<void>] => [
        'display',
        (t) =>
          displayConformance(t, {
            open: opener('display', size),
            shown: () => hardware.display.frame(),
            alt: () => hardware.display.alt(),
            scribble: async () => {
              const other = await opener('display', size)()
              const pixels = new Uint16Array(size.width * size.height).fill(0x0f0f)
              await other.draw({ ...size, pixels }, ['scribble'])
              await other.close()
            },
            cable: cable('display'),
          }),
      ],
    ),
    [
      'indicators',
      (t) =>
        indicatorsConformance(t, {
          open: opener('indicators'),
          light: (light) => hardware.indicators.lights()[light],
          sounding: () => hardware.indicators.sounding()?.map(({ hz }) => hz),
          cable: cable('indicators'),
        }),
    ],
    [
      'power',
      (t) =>
        powerConformance(t, {
          open: opener('power'),
          set: (reading) => hardware.power.set(reading),
          cable: cable('power'),
        }),
    ],
    [
      'scanner',
      (t) =>
        scannerConformance(t, {
          open: opener('scanner'),
          scan: (raw, aim) => hardware.scanner.scan(raw, aim),
          tellsAim: true,
          lit: () => hardware.scanner.lit(),
          cable: cable('scanner'),
        }),
    ],
    [
      'signature pad',
      (t) =>
        signaturePadConformance(t, {
          open: opener('signature-pad'),
          sign: (strokes) => hardware.signature.sign(strokes),
          clear: () => hardware.signature.clear(),
          capturing: () => hardware.signature.capturing(),
          cable: cable('signature-pad'),
        }),
    ],
    [
      'tamper',
      (t) =>
        tamperConformance(t, {
          open: opener('tamper'),
          trip: (sensor) => hardware.tamper.trip(sensor),
          clear: () => hardware.tamper.clear(),
          cable: cable('tamper'),
        }),
    ],
    [
      'secure element',
      (t) =>
        secureElementConformance(t, {
          open: opener('secure-element', { directory: join(folder, 'one') }),
          openOther: opener('secure-element', { directory: join(folder, 'two') }),
          tamper: () => hardware.tamper.trip('case'),
          clear: () => hardware.tamper.clear(),
        }),
    ],
    [
      'fiscal signer',
      (t) =>
        fiscalSignerConformance(t, {
          open: opener('fiscal-signer', { directory: join(folder, 'fiscal') }),
          tear: () => appendFileSync(join(folder, 'fiscal', 'receipts.log'), '{"id":"torn","counter":9'),
          verify(code) {
            const at = code.lastIndexOf(';')
            const key = createPublicKey(readFileSync(join(folder, 'fiscal', 'signer.pub')))
            const signature = Buffer.from(code.slice(at + 1), 'base64url')
            const signed = Buffer.from(code.slice(0, at), 'latin1')
            return verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature)
          },
          cable: cable('fiscal-signer'),
        }),
    ],
    [
      'printer',
      async (t) => {
        const port = await machineSocket(machine, systemClock, { baudRate: 115_200 }).open()
        t.teardown(hardware.printer.attach(port))
        await printerConformance(t, {
          open: async () => opener('printer', { profile: '58mm', pollMs: 100 })(),
          trouble: (what, on) => machine.setFault(what, on),
          printedRows: () => machine.counters.printedRows,
          longJobMs: 60_000,
          cable: cable('printer'),
        })
      },
    ],
  ]
  return all.reduce(
    (before, [name, body]) => before.then(() => t.test(name, body).then(() => undefined)),
    Promise.resolve(),
  )
}
