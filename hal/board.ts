// A board profile: which driver serves which device, with its options. Drivers are named in a registry by the boot files.
import { type Static, type TSchema, Type } from 'typebox'
import { Value } from 'typebox/value'
import type { Clock } from './base/clock.js'
import { PosternError } from './base/errors.js'
import type { Log } from './base/log.js'
import { withinTime } from './base/within-time.js'
import { fillParams } from './board-params.js'
import type { ChipCardReader } from './chip-card-reader.js'
import type { ContactlessReader } from './contactless-reader.js'
import { DEVICE_CLASSES, type Device, type DeviceClass } from './device.js'
import type { Display } from './display.js'
import type { FiscalSigner } from './fiscal-signer.js'
import type { Indicators } from './indicators.js'
import type { Keypad } from './keypad.js'
import { createLeasing, type Lease } from './lease.js'
import type { MagneticStripeReader } from './magnetic-stripe-reader.js'
import type { Power } from './power.js'
import type { Printer } from './printer.js'
import type { Scanner } from './scanner.js'
import { schemaFaults, shown } from './schema-faults.js'
import type { SecureElement } from './secure-element.js'
import type { SignaturePad } from './signature-pad.js'
import type { StatisticsStore } from './statistics.js'
import type { Tamper } from './tamper.js'

/** What a driver's factory is given besides its options. */
export interface DriverContext {
  /** The device's id in the profile, such as `printer`. */
  readonly id: string
  readonly clock: Clock
  readonly log: Log
  /** Keeps the counters over a restart; without one they start at zero. */
  readonly statistics?: StatisticsStore
}

/** Opens one device. Options come from the profile and were checked against `optionsSchema`. */
export interface Driver<D extends Device<string, unknown> = Device<string, unknown>> {
  readonly name: string
  readonly deviceClass: DeviceClass
  /** A typebox schema for `options`; its errors name the key and what is allowed. */
  readonly optionsSchema: object
  open(options: never, context: DriverContext): Promise<D>
}

/** The interface of each class. */
export interface DeviceOfClass {
  'chip-card-reader': ChipCardReader
  'contactless-reader': ContactlessReader
  'magnetic-stripe-reader': MagneticStripeReader
  keypad: Keypad
  display: Display
  printer: Printer
  scanner: Scanner
  indicators: Indicators
  power: Power
  'signature-pad': SignaturePad
  tamper: Tamper
  'secure-element': SecureElement
  'fiscal-signer': FiscalSigner
}

export type World = 'secure' | 'open'

/** Which world opens a class. Power is read by both: each shows it, neither can do harm with it. */
export const WORLDS_OF_CLASS: Readonly<Record<DeviceClass, readonly World[]>> = {
  'chip-card-reader': ['secure'],
  'contactless-reader': ['secure'],
  'magnetic-stripe-reader': ['secure'],
  keypad: ['secure'],
  display: ['secure'],
  printer: ['open'],
  scanner: ['open'],
  indicators: ['secure'],
  power: ['secure', 'open'],
  'signature-pad': ['secure'],
  tamper: ['secure'],
  'secure-element': ['secure'],
  'fiscal-signer': ['secure'],
}

/** One device of a profile, checked: its driver exists and its options fit. */
export interface BoardDevice {
  readonly id: string
  readonly deviceClass: DeviceClass
  readonly driver: string
  readonly options: Readonly<Record<string, unknown>>
}

/** Who knows whether there is a network. */
const BoardNetwork = Type.Object(
  {
    /** The kernel (`netlink`), or NetworkManager, which also knows modems and portals. */
    source: Type.Enum(['netlink', 'network-manager']),
    /** False for a board that reaches its acquirer on its own link, without a default route. */
    defaultRoute: Type.Boolean({ default: true }),
  },
  { additionalProperties: false },
)
export type BoardNetwork = Static<typeof BoardNetwork>

/** A checked profile. It holds only what can be opened. */
export interface BoardProfile {
  readonly name: string
  readonly devices: readonly BoardDevice[]
  /** Where the network's state is read; absent where whoever starts the world decides. Open world only. */
  readonly network?: BoardNetwork | undefined
  /** Socket of a certified module that holds reader, kernel and PIN in the place of ours. */
  readonly certifiedModule: { readonly socket: string } | undefined
}

/** Something in a profile that can't be used, or a device that did not open. The rest works. */
export interface BoardProblem {
  /** JSON pointer into the profile, such as `/devices/display/options/width`. */
  readonly key: string
  /** What is there, as JSON, shortened. */
  readonly value: string
  /** What would be right, as the end of a sentence: `has to be a whole number from 64 to 1024`. */
  readonly allowed: string
}

export interface ParseOptions {
  /** Reads only the devices of this world; all where it is absent. */
  readonly world?: World
  /** Values for `${name}` in the texts of options. */
  readonly params?: Readonly<Record<string, string>>
}

/** A profile has at most so many devices. */
const MAX_DEVICES = 32
const PROFILE_KEYS = ['name', 'description', 'devices', 'network', 'certifiedModule']
const DEVICE_KEYS = ['class', 'driver', 'options']
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Reads a profile. It never throws for a wrong profile: whatever can't be used is left out and named in `problems`.
 * @example parseBoard(JSON.parse(text), drivers, { world: 'open', params: { printerPort: '/dev/ttyS1' } })
 */
export function parseBoard(
  json: unknown,
  registry: readonly Driver[],
  { world, params = {} }: ParseOptions = {},
): { readonly profile: BoardProfile; readonly problems: readonly BoardProblem[] } {
  const problems: BoardProblem[] = []
  const problem = (key: string, value: unknown, allowed: string): undefined => {
    problems.push({ key, value: shown(value), allowed })
    return undefined
  }
  const root = isObject(json) ? json : {}
  if (root !== json) problem('', json, `has to be an object with ${PROFILE_KEYS.join(', ')}`)
  for (const key of Object.keys(root)) {
    if (!PROFILE_KEYS.includes(key))
      problem(`/${key}`, root[key], `is no known key; there are ${PROFILE_KEYS.join(', ')}`)
  }
  const name = root['name']
  if (typeof name !== 'string' || !/^[a-z0-9][a-z0-9-]{0,63}$/.test(name)) {
    problem('/name', name, 'has to be a name of lower-case letters, digits and dashes')
  }
  const rows = isObject(root['devices']) ? Object.entries(root['devices']) : []
  if (!isObject(root['devices']))
    problem('/devices', root['devices'], 'has to be an object of devices by their id')
  if (rows.length > MAX_DEVICES) problem('/devices', rows.length, `has to be at most ${MAX_DEVICES} devices`)

  const readDevice = (id: string, row: unknown): BoardDevice | undefined => {
    const key = `/devices/${id}`
    if (!/^[a-z][a-z0-9-]{0,31}$/.test(id))
      return problem(key, id, 'has to be an id of lower-case letters and dashes')
    if (!isObject(row)) return problem(key, row, `has to be an object with ${DEVICE_KEYS.join(', ')}`)
    for (const extra of Object.keys(row)) {
      if (!DEVICE_KEYS.includes(extra)) {
        return problem(`${key}/${extra}`, row[extra], `is no known key; there are ${DEVICE_KEYS.join(', ')}`)
      }
    }
    const deviceClass = DEVICE_CLASSES.find((each) => each === row['class'])
    if (deviceClass === undefined) {
      return problem(`${key}/class`, row['class'], `has to be one of ${DEVICE_CLASSES.join(', ')}`)
    }
    // The other world has its own registry: what is not ours can't be judged here.
    if (world !== undefined && !WORLDS_OF_CLASS[deviceClass].includes(world)) return undefined
    const drivers = registry.filter((each) => each.deviceClass === deviceClass)
    const driver = drivers.find((each) => each.name === row['driver'])
    if (driver === undefined) {
      const known = drivers.map((each) => each.name).join(', ')
      const allowed = known ? `has to be one of ${known}` : `has no driver for ${deviceClass} on this system`
      return problem(`${key}/driver`, row['driver'], allowed)
    }
    const filled = fillParams(row['options'] ?? {}, params, (path, missing) => {
      const given = Object.keys(params).join(', ') || 'none'
      problem(`${key}/options${path}`, `\${${missing}}`, `has no such parameter; there are ${given}`)
    })
    if (filled === undefined) return undefined
    const options = Value.Default(driver.optionsSchema as TSchema, filled)
    const faults = schemaFaults(driver.optionsSchema, options)
    for (const fault of faults) {
      problems.push({ key: `${key}/options${fault.path}`, value: fault.value, allowed: fault.allowed })
    }
    if (faults.length > 0) return undefined
    return { id, deviceClass, driver: driver.name, options: options as Record<string, unknown> }
  }

  const devices = rows
    .slice(0, MAX_DEVICES)
    .map(([id, row]) => readDevice(id, row))
    .filter((device) => device !== undefined)
  const certifiedModule = readModule(root['certifiedModule'], world, params, problem)
  const network = readNetwork(root['network'], world, problems)
  return {
    profile: { name: typeof name === 'string' ? name : 'unnamed', devices, network, certifiedModule },
    problems,
  }
}

function readNetwork(
  json: unknown,
  world: World | undefined,
  problems: BoardProblem[],
): BoardNetwork | undefined {
  if (json === undefined || world === 'secure') return undefined
  const network = Value.Default(BoardNetwork, structuredClone(json))
  const faults = schemaFaults(BoardNetwork, network)
  for (const { path, value, allowed } of faults) problems.push({ key: `/network${path}`, value, allowed })
  return faults.length === 0 ? (network as BoardNetwork) : undefined
}

function readModule(
  json: unknown,
  world: World | undefined,
  params: Readonly<Record<string, string>>,
  problem: (key: string, value: unknown, allowed: string) => undefined,
): { socket: string } | undefined {
  if (json === undefined || world === 'open') return undefined
  const filled = fillParams(json, params, (path, missing) =>
    problem(`/certifiedModule${path}`, `\${${missing}}`, 'has no such parameter'),
  )
  if (filled === undefined) return undefined
  const socket = isObject(filled) ? filled['socket'] : undefined
  if (typeof socket !== 'string' || socket.length === 0 || socket.length > 107) {
    return problem(
      '/certifiedModule/socket',
      socket,
      'has to be the path of a unix socket, at most 107 characters',
    )
  }
  return { socket }
}

/** Drivers that don't answer at all are given up after this. */
const OPEN_BOUND_MS = 10_000

/** The devices of a board that opened. */
export interface Board {
  readonly name: string
  readonly devices: readonly Device<string, unknown>[]
  readonly problems: readonly BoardProblem[]
  /** The device of that id, or the first of the class; undefined where the board has none that opened. */
  device<C extends DeviceClass>(deviceClass: C, id?: string): DeviceOfClass[C] | undefined
  /**
   * Takes such a device for `owner` alone; undefined where the board has none.
   * @throws DeviceError `DEVICE_BUSY` naming the holder
   */
  lease<C extends DeviceClass>(
    deviceClass: C,
    owner: string,
    id?: string,
  ): Lease<DeviceOfClass[C]> | undefined
  /** Ends every lease, then closes all, in reverse order. Idempotent. */
  close(): Promise<void>
}

/**
 * Opens every device of a checked profile. It never fails as a whole: a device that does not open is a problem, the
 * others work. A device that is only absent opens (presence `lost`) and comes by itself.
 */
export async function openBoard(
  profile: BoardProfile,
  registry: readonly Driver[],
  context: Omit<DriverContext, 'id'>,
): Promise<Board> {
  const problems: BoardProblem[] = []
  const opened = await Promise.all(
    profile.devices.map(async ({ id, deviceClass, driver: name, options }) => {
      const driver = registry.find((each) => each.deviceClass === deviceClass && each.name === name)
      try {
        if (driver === undefined) throw new PosternError('DRIVER_UNKNOWN', 'not in the registry')
        const opening = driver.open(options as never, { ...context, id })
        // A device that opens after it was given up must not hold its port.
        return await withinTime(opening, OPEN_BOUND_MS, context.clock, (late) => late.close())
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        context.log.error('board.device-failed', { device: id, driver: name, reason })
        problems.push({ key: `/devices/${id}`, value: shown(name), allowed: `did not open: ${reason}` })
        return undefined
      }
    }),
  )
  const devices = opened.filter((device) => device !== undefined)
  let closing: Promise<void> | undefined
  const leasings = new Map(devices.map((device) => [device, createLeasing(device)]))
  const find = (deviceClass: DeviceClass, id?: string) =>
    devices.find((device) => device.deviceClass === deviceClass && (id === undefined || device.id === id))
  const closeAll = async () => {
    for (const leasing of leasings.values()) leasing.revoke('the device is closed')
    for (const device of [...devices].reverse()) await device.close()
  }
  return {
    name: profile.name,
    devices,
    problems,
    device: (deviceClass, id) => find(deviceClass, id) as never,
    lease(deviceClass, owner, id) {
      const device = find(deviceClass, id)
      return device === undefined ? undefined : (leasings.get(device)!.acquire(owner) as never)
    },
    close: () => (closing ??= closeAll()),
  }
}

/** A problem as one line: `/devices/display/options/width: "wide" has to be a whole number from 64 to 1024`. */
export function describeProblem({ key, value, allowed }: BoardProblem): string {
  return `${key || 'the profile'}: ${value} ${allowed}`
}
