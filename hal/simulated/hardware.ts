// The virtual handheld's body: every device's physics, their plugs, and the switches that break them.
import { type Clock, systemClock } from '../base/clock.js'
import { PosternError } from '../base/errors.js'
import type { DisplayCapabilities } from '../display.js'
import { KEYS, type Key } from '../keypad.js'
import { type Backplane, type Bus, createLocalBus, type Peripheral, type PortEvent } from './bus.js'
import { type BusRole, PERIPHERALS, type PeripheralName } from './bus-protocol.js'
import { applyFault, type Breakable, type FaultName } from './faults.js'
import { type ChipSlot, createChipSlot } from './hardware/chip-slot.js'
import { type ContactlessField, createContactlessField } from './hardware/contactless-field.js'
import { createKeyMatrix, type KeyMatrix } from './hardware/key-matrix.js'
import { createLamps, type Lamps } from './hardware/lamps.js'
import { type MachineIo, seededRandom } from './hardware/machine.js'
import { createPanel, type Panel } from './hardware/panel.js'
import { createPrinterPort, type PrinterPort } from './hardware/printer-port.js'
import {
  type Battery,
  type CaseSwitches,
  createBattery,
  createCaseSwitches,
  createNetworkSwitch,
  createScanEngine,
  createSignatureGlass,
  createStripeSlot,
  type NetworkSwitch,
  type ScanEngine,
  type SignatureGlass,
  type StripeSlot,
} from './hardware/small-machines.js'

export interface HardwareOptions {
  readonly clock?: Clock
  /** For bounce and noise: the same seed plays the same. */
  readonly seed?: number
  readonly display?: DisplayCapabilities
  readonly keys?: readonly Key[]
  /** The keypad's wiring as rows; without it each key has a line of its own. */
  readonly matrix?: readonly (readonly (Key | null)[])[]
  readonly signature?: { readonly width: number; readonly height: number }
}

/** A handheld that exists in memory. One process holds it; drivers reach it over a bus. */
export interface SimulatedHardware extends Breakable {
  readonly chip: ChipSlot
  readonly contactless: ContactlessField
  readonly stripe: StripeSlot
  readonly keypad: KeyMatrix
  readonly display: Panel
  readonly indicators: Lamps
  readonly power: Battery
  readonly tamper: CaseSwitches
  readonly signature: SignatureGlass
  readonly scanner: ScanEngine
  readonly printer: PrinterPort
  readonly network: NetworkSwitch
  /** Unplugs a device: commands under way fail, nothing arrives. Its physical state stays. Idempotent. */
  detach(device: PeripheralName): void
  attach(device: PeripheralName): void
  attached(device: PeripheralName): boolean
  /** The battery is pulled: panel and lights go dark, cards lose their power. Who runs the worlds stops them too. */
  powerLoss(): void
  /** Delays every command and event on the bus. 0 switches the fault off; at most 5,000. */
  slowWire(ms: number): void
  /** A fault by name, as scenarios and the page ask for it. @throws PosternError `FAULT_INVALID` saying what is allowed */
  fault(name: FaultName | string, args?: Readonly<Record<string, unknown>>): void
  /** Faults that somebody else plays, such as the printer machine's `paperOut`. */
  addFault(name: string, apply: (args: Readonly<Record<string, unknown>>) => void): void
  /** Calls `watcher` with the device's name whenever something visible has changed. Returns the unsubscriber. */
  watch(watcher: (device: PeripheralName) => void): () => void
  /** A bus inside this process. */
  bus(role: BusRole): Bus
  /** Ends timers and watchers. */
  close(): void
}

/** A 240 by 320 colour panel at 166 dpi: 2.4 inches, as on most handhelds of this class. */
export const DEFAULT_DISPLAY: DisplayCapabilities = { width: 240, height: 320, depth: 16, dpi: 166 }

/** Builds a handheld with every device plugged in, no card, no paper in its printer's port. */
export function createSimulatedHardware(options: HardwareOptions = {}): SimulatedHardware {
  const clock = options.clock ?? systemClock
  const random = seededRandom(options.seed ?? 1)
  const off = new AbortController()
  const plugged = new Set(Object.keys(PERIPHERALS) as PeripheralName[])
  const subscribers = new Set<(name: PeripheralName, event: PortEvent<PeripheralName>) => void>()
  const watchers = new Set<(device: PeripheralName) => void>()
  const addedFaults = new Map<string, (args: Readonly<Record<string, unknown>>) => void>()
  let latencyMs = 0

  const broadcast = (name: PeripheralName, event: PortEvent<PeripheralName>) => {
    for (const subscriber of [...subscribers]) subscriber(name, event)
  }
  const io = <P extends PeripheralName>(name: P): MachineIo<P> => ({
    clock,
    random,
    off: off.signal,
    send: (event) => {
      if (plugged.has(name)) broadcast(name, { type: 'event', event })
    },
    changed: () => {
      for (const watcher of [...watchers]) watcher(name)
    },
  })

  const chip = createChipSlot(io('chip-card-reader'))
  const contactless = createContactlessField(io('contactless-reader'))
  const stripe = createStripeSlot(io('magnetic-stripe-reader'))
  const keypad = createKeyMatrix(io('keypad'), options.keys ?? KEYS, options.matrix ?? [])
  const display = createPanel(io('display'), options.display ?? DEFAULT_DISPLAY)
  const lamps = createLamps(io('indicators'))
  const battery = createBattery(io('power'))
  const tamper = createCaseSwitches(io('tamper'))
  const signature = createSignatureGlass(
    io('signature-pad'),
    options.signature ?? { width: 240, height: 120 },
  )
  const scanner = createScanEngine(io('scanner'))
  const printer = createPrinterPort(io('printer'))
  const network = createNetworkSwitch(io('network'))
  const peripherals: Record<PeripheralName, Peripheral> = {
    'chip-card-reader': chip.peripheral,
    'contactless-reader': contactless.peripheral,
    'magnetic-stripe-reader': stripe.peripheral,
    keypad: keypad.peripheral,
    display: display.peripheral,
    indicators: lamps.peripheral,
    power: battery.peripheral,
    tamper: tamper.peripheral,
    'signature-pad': signature.peripheral,
    scanner: scanner.peripheral,
    printer: printer.peripheral,
    network: network.peripheral,
    'fiscal-signer': { state: () => ({}), command: () => ({}) },
  }
  const backplane: Backplane = {
    clock,
    latencyMs: () => latencyMs,
    peripheral: (name) => peripherals[name],
    attached: (name) => plugged.has(name),
    subscribe(listener) {
      subscribers.add(listener)
      return () => void subscribers.delete(listener)
    },
  }

  const hardware: SimulatedHardware = {
    chip: chip.slot,
    contactless: contactless.field,
    stripe: stripe.stripe,
    keypad: keypad.keypad,
    display: display.panel,
    indicators: lamps.lamps,
    power: battery.battery,
    tamper: tamper.tamper,
    signature: signature.signature,
    scanner: scanner.scanner,
    printer: printer.printer,
    network: network.network,
    detach(device) {
      if (!plugged.delete(device)) return
      broadcast(device, { type: 'detached' })
      io(device).changed()
    },
    attach(device) {
      if (plugged.has(device)) return
      plugged.add(device)
      broadcast(device, { type: 'attached', state: peripherals[device].state() as never })
      io(device).changed()
    },
    attached: (device) => plugged.has(device),
    powerLoss() {
      for (const device of [chip, contactless, display, lamps]) device.powerLoss()
    },
    slowWire(ms) {
      if (!(ms >= 0 && ms <= 5_000)) {
        throw new PosternError('FAULT_INVALID', 'slowWire takes 0 to 5000 milliseconds')
      }
      latencyMs = ms
    },
    fault(name, args = {}) {
      const added = addedFaults.get(name)
      if (added !== undefined) added(args)
      else applyFault(hardware, name, args, [...addedFaults.keys()])
    },
    addFault: (name, apply) => void addedFaults.set(name, apply),
    watch(watcher) {
      watchers.add(watcher)
      return () => void watchers.delete(watcher)
    },
    bus: (role) => createLocalBus(backplane, role),
    close() {
      off.abort()
      subscribers.clear()
      watchers.clear()
    },
  }
  return hardware
}
