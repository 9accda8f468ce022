// The fault table: what a scenario or the page can break by name, with the arguments that each fault takes.
import { type Static, type TObject, Type } from 'typebox'
import { Value } from 'typebox/value'
import { PosternError } from '../base/errors.js'
import { PERIPHERALS, type PeripheralName } from './bus-protocol.js'
import type { ChipSlot } from './hardware/chip-slot.js'
import type { ContactlessField } from './hardware/contactless-field.js'
import type { KeyMatrix } from './hardware/key-matrix.js'
import type { Battery, CaseSwitches, NetworkSwitch } from './hardware/small-machines.js'

/** What of the handheld can be broken. */
export interface Breakable {
  readonly chip: ChipSlot
  readonly contactless: ContactlessField
  readonly keypad: KeyMatrix
  readonly power: Battery
  readonly tamper: CaseSwitches
  readonly network: NetworkSwitch
  detach(device: PeripheralName): void
  attach(device: PeripheralName): void
  slowWire(ms: number): void
}

const closed = { additionalProperties: false } as const
const Commands = Type.Integer({ minimum: 0, maximum: 10_000 })
const Device = Type.Unsafe<PeripheralName>(
  Type.Union((Object.keys(PERIPHERALS) as PeripheralName[]).map((name) => Type.Literal(name))),
)

interface Fault<S extends TObject> {
  /** What happens, for the page and for `--help`. */
  readonly says: string
  readonly args: S
  apply(hardware: Breakable, args: Static<S>): void
}
const fault = <S extends TObject>(row: Fault<S>): Fault<S> => row

/** One row a fault. */
export const FAULTS = {
  cardPulledAfter: fault({
    says: 'the card is pulled after so many answered commands; torn: it works one more, whose answer is lost',
    args: Type.Object({ commands: Commands, torn: Type.Optional(Type.Boolean()) }, closed),
    apply: (hardware, { commands, torn = false }) => hardware.chip.pullAfter(commands, { torn }),
  }),
  muteCard: fault({
    says: 'the card in the slot answers no reset, as one that lies the wrong way round',
    args: Type.Object({}, closed),
    apply: (hardware) => hardware.chip.mute(),
  }),
  cardHangsAfter: fault({
    says: 'the card falls silent after so many answered commands',
    args: Type.Object({ commands: Commands }, closed),
    apply: (hardware, { commands }) => hardware.chip.hangAfter(commands),
  }),
  slowCard: fault({
    says: 'the card takes so many milliseconds for each command',
    args: Type.Object({ ms: Type.Integer({ minimum: 0, maximum: 60_000 }) }, closed),
    apply: (hardware, { ms }) => hardware.chip.slowCard(ms),
  }),
  tapLeavesAfter: fault({
    says: 'the contactless card leaves the field after so many answered commands',
    args: Type.Object({ commands: Commands, torn: Type.Optional(Type.Boolean()) }, closed),
    apply: (hardware, { commands, torn = false }) => hardware.contactless.leaveAfter(commands, { torn }),
  }),
  detach: fault({
    says: 'a device is unplugged',
    args: Type.Object({ device: Device }, closed),
    apply: (hardware, { device }) => hardware.detach(device),
  }),
  attach: fault({
    says: 'a device is plugged in again',
    args: Type.Object({ device: Device }, closed),
    apply: (hardware, { device }) => hardware.attach(device),
  }),
  slowWire: fault({
    says: 'every command and event on the bus is late by so many milliseconds',
    args: Type.Object({ ms: Type.Integer({ minimum: 0, maximum: 5_000 }) }, closed),
    apply: (hardware, { ms }) => hardware.slowWire(ms),
  }),
  keyBounce: fault({
    says: 'contacts of the keypad bounce, or do not',
    args: Type.Object({ on: Type.Boolean() }, closed),
    apply: (hardware, { on }) => hardware.keypad.bounce(on),
  }),
  tamper: fault({
    says: 'a switch of the case reports that it was opened',
    args: Type.Object({ sensor: Type.String({ minLength: 1, maxLength: 32 }) }, closed),
    apply: (hardware, { sensor }) => hardware.tamper.trip(sensor),
  }),
  battery: fault({
    says: 'the battery stands at so many percent, on battery or on the charger',
    args: Type.Object(
      {
        percent: Type.Number({ minimum: 0, maximum: 100 }),
        source: Type.Optional(Type.Union([Type.Literal('battery'), Type.Literal('external')])),
      },
      closed,
    ),
    apply: (hardware, change) => hardware.power.set(change),
  }),
  network: fault({
    says: 'the radio is on the air, or is not',
    args: Type.Object({ online: Type.Boolean() }, closed),
    apply: (hardware, { online }) => hardware.network.set(online),
  }),
} as const

export type FaultName = keyof typeof FAULTS

/** Plays one fault. @throws PosternError `FAULT_INVALID` naming the argument and what is allowed */
export function applyFault(
  hardware: Breakable,
  name: string,
  args: Readonly<Record<string, unknown>>,
  alsoKnown: readonly string[] = [],
): void {
  if (!Object.hasOwn(FAULTS, name)) {
    const known = [...Object.keys(FAULTS), ...alsoKnown].join(', ')
    throw new PosternError('FAULT_INVALID', `no fault "${name.slice(0, 40)}"; there are ${known}`)
  }
  const row: Fault<TObject> = FAULTS[name as FaultName] as never
  if (!Value.Check(row.args, args)) {
    const first = Value.Errors(row.args, args)[0]
    const allowed = Object.keys(row.args.properties).join(', ') || 'no arguments'
    throw new PosternError(
      'FAULT_INVALID',
      `fault ${name}${first?.instancePath ?? ''}: ${first?.message ?? 'invalid'}; it takes ${allowed}`,
    )
  }
  row.apply(hardware, args)
}
