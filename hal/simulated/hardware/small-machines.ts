// The devices whose physics is a value or a switch: stripe slot, battery, case switches, signature glass, scan engine, network.
import type { PowerReading } from '../../power.js'
import type { Scan } from '../../scanner.js'
import type { StrokePoint } from '../../signature-pad.js'
import type { Peripheral } from '../bus.js'
import type { PeripheralState } from '../bus-protocol.js'
import type { MachineIo } from './machine.js'

/** The stripe slot: tracks as recorded, with sentinels and LRC, one character a byte. `null`: nothing was read. */
export interface StripeSlot {
  swipe(tracks: { track1?: string | null; track2?: string | null }): void
}

export function createStripeSlot(io: MachineIo<'magnetic-stripe-reader'>): {
  readonly stripe: StripeSlot
  readonly peripheral: Peripheral
} {
  return {
    stripe: {
      swipe: ({ track1 = null, track2 = null }) => io.send({ type: 'swipe', track1, track2 }),
    },
    peripheral: { state: () => ({}), command: () => ({}) },
  }
}

/** Battery and charger. */
export interface Battery {
  reading(): PowerReading
  set(change: Partial<PowerReading>): void
}

export function createBattery(io: MachineIo<'power'>): {
  readonly battery: Battery
  readonly peripheral: Peripheral
} {
  let reading: PowerReading = { source: 'battery', percent: 87, temperatureC: 24 }
  const wire = (): PeripheralState<'power'> => {
    const { source, percent, temperatureC } = reading
    return { source, percent, ...(temperatureC === undefined ? {} : { temperatureC }) }
  }
  return {
    battery: {
      reading: () => reading,
      set(change) {
        reading = { ...reading, ...change }
        reading = { ...reading, percent: Math.min(100, Math.max(0, reading.percent)) }
        io.send({ type: 'reading', reading: wire() })
        io.changed()
      },
    },
    peripheral: { state: wire, command: () => ({}) },
  }
}

/** The case's switches. What tripped stays tripped until the technician clears it. */
export interface CaseSwitches {
  tripped(): readonly string[]
  trip(sensor: string): void
  clear(): void
}

export function createCaseSwitches(io: MachineIo<'tamper'>): {
  readonly tamper: CaseSwitches
  readonly peripheral: Peripheral
} {
  const sensors = new Set<string>()
  return {
    tamper: {
      tripped: () => [...sensors],
      trip(sensor) {
        if (sensors.size >= 16 || sensors.has(sensor)) return
        sensors.add(sensor.slice(0, 32))
        io.send({ type: 'tripped', sensor: sensor.slice(0, 32) })
        io.changed()
      },
      clear() {
        sensors.clear()
        io.send({ type: 'cleared' })
        io.changed()
      },
    },
    peripheral: {
      state: (): PeripheralState<'tamper'> => ({ sensors: [...sensors] }),
      command: () => ({}),
    },
  }
}

/** The glass that is signed on. What is drawn while nobody captures is not recorded. */
export interface SignatureGlass {
  readonly width: number
  readonly height: number
  capturing(): boolean
  sign(strokes: readonly (readonly StrokePoint[])[]): void
  /** The person presses "clear". */
  clear(): void
}

export function createSignatureGlass(
  io: MachineIo<'signature-pad'>,
  size: { readonly width: number; readonly height: number },
): { readonly signature: SignatureGlass; readonly peripheral: Peripheral } {
  let capturing = false
  return {
    signature: {
      ...size,
      capturing: () => capturing,
      sign(strokes) {
        if (!capturing) return
        io.send({ type: 'signed', strokes: strokes.map((stroke) => stroke.map((point) => ({ ...point }))) })
      },
      clear() {
        if (capturing) io.send({ type: 'cleared' })
      },
    },
    peripheral: {
      state: (): PeripheralState<'signature-pad'> => ({ ...size }),
      command(_op, params: { on: boolean }) {
        capturing = params.on
        io.changed()
        return {}
      },
    },
  }
}

/** The scan engine and what is held before it. */
export interface ScanEngine {
  lit(): boolean
  /** Somebody pulls the engine's own trigger at this code: it is read at once. */
  scan(code: string | Uint8Array, aim?: string): void
  /** Holds a code before the engine: read now if it is lit, else as soon as it is. At most 100 wait. */
  present(code: string | Uint8Array, aim?: string): void
}

export function createScanEngine(io: MachineIo<'scanner'>): {
  readonly scanner: ScanEngine
  readonly peripheral: Peripheral
} {
  const waiting: Omit<Scan, 'type'>[] = []
  let lit = false
  const read = (scan: Omit<Scan, 'type'>) => {
    lit = false
    const raw = Buffer.from(scan.raw.subarray(0, 4_096)).toString('base64')
    io.send({ type: 'scan', ...(scan.aim === undefined ? {} : { aim: scan.aim.slice(0, 2) }), raw })
    io.changed()
  }
  const bytes = (code: string | Uint8Array) =>
    typeof code === 'string' ? new Uint8Array(Buffer.from(code, 'utf8')) : code
  return {
    scanner: {
      lit: () => lit,
      scan: (code, aim) => read({ aim, raw: bytes(code) }),
      present(code, aim) {
        if (lit) return read({ aim, raw: bytes(code) })
        if (waiting.length < 100) waiting.push({ aim, raw: bytes(code) })
      },
    },
    peripheral: {
      state: () => ({}),
      command(_op, params: { on: boolean }) {
        lit = params.on
        io.changed()
        const next = lit ? waiting.shift() : undefined
        // The answer to the trigger goes out before what it reads.
        if (next !== undefined) setImmediate(() => read(next))
        return {}
      },
    },
  }
}

/** The radio: on the air or not. */
export interface NetworkSwitch {
  online(): boolean
  set(online: boolean): void
}

export function createNetworkSwitch(io: MachineIo<'network'>): {
  readonly network: NetworkSwitch
  readonly peripheral: Peripheral
} {
  let online = true
  return {
    network: {
      online: () => online,
      set(next) {
        if (next === online) return
        online = next
        io.send({ type: 'network', online })
        io.changed()
      },
    },
    peripheral: {
      state: (): PeripheralState<'network'> => ({ online }),
      command: () => ({}),
    },
  }
}
