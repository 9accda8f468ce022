// GPIO lines as drivers see them, whatever the kernel offers: sysfs through onoff, or the character device.
import { Type } from 'typebox'

/** One line: the label of its chip and its offset within it, which unlike the global number is the same on every kernel. */
export interface GpioLine {
  readonly chip: string
  readonly offset: number
}

/** A line in a board profile: `pinctrl-bcm2711:17`. */
export const LineName = Type.String({ pattern: '^.{1,31}:[0-9]{1,4}$' })

/** Reads `label:offset`; a label may have colons itself (`INT33FF:00:12`). The schema has checked it. */
export function parseLine(name: string): GpioLine {
  const at = name.lastIndexOf(':')
  return { chip: name.slice(0, at), offset: Number(name.slice(at + 1)) }
}

export interface InputOptions {
  /** Active is the low level. */
  readonly activeLow: boolean
  /** Absent: as the board wires it. @see GpioPort.input */
  readonly bias?: 'pull-up' | 'pull-down'
  /**
   * Called on every edge with the new state and a stamp in ms, of which only differences mean anything. After a burst
   * edges may be missing: what counts is `read`.
   */
  readonly onEdge?: (active: boolean, atMs: number) => void
}

export interface OutputOptions {
  readonly activeLow: boolean
  /** Inactive is not driven at all, so that outputs that meet (rows of a keypad) never fight. Default false. */
  readonly openWhenInactive?: boolean
  readonly active: boolean
}

export interface GpioInput {
  /** True while active. @throws DeviceError `DEVICE_LOST` */
  read(): boolean
}

export interface GpioOutput {
  /** @throws DeviceError `DEVICE_LOST` */
  set(active: boolean): void
}

/**
 * Lines of any chips, taken for us alone until `close`. Calls take microseconds and wait for nothing, so they are
 * synchronous. All may throw `DEVICE_LOST` (chip or line not there), `DEVICE_BUSY` (somebody else's line).
 */
export interface GpioPort {
  /** @throws DeviceError `DEVICE_UNSUPPORTED` where the backend can't set the bias that was asked */
  input(line: GpioLine, options: InputOptions): GpioInput
  output(line: GpioLine, options: OutputOptions): GpioOutput
  /** Looks whether the lines are still there. @throws DeviceError `DEVICE_LOST` */
  check(): void
  /** Gives all lines back. Idempotent. */
  close(): void
}

export type OpenGpio = (backend: GpioBackend) => Promise<GpioPort>

export type GpioBackend = 'onoff' | 'character-device'
/** Option of every GPIO driver: which of the kernel's two interfaces. */
export const GpioBackendOption = Type.Union([Type.Literal('onoff'), Type.Literal('character-device')], {
  default: 'onoff',
})
/** Option of lines: low is active. */
export const ActiveLowOption = Type.Boolean({ default: false })
