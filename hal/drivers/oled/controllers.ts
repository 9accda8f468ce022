// Commands of the OLED controllers SSD1306 (Solomon Systech, rev 1.1) and SH1106 (Sino Wealth, V2.3), by their datasheets' tables.
import type { PageRect, SendingCost } from './page-memory.js'

/** Control byte: each command byte is announced by itself, so that data may follow in the same transfer. */
const ONE_COMMAND = 0x80
/** Control byte: only commands follow. */
const COMMANDS = 0x00
/** Control byte: only data follow. */
export const DATA = 0x40

/** What a panel is told besides its pixels. */
export interface PanelSettings {
  readonly rows: 32 | 64
  readonly invert: boolean
  /** Does the controller make the panel's voltage itself? */
  readonly chargePump: boolean
  /** First column of the glass in the controller's memory. */
  readonly columnOffset: number
}

export interface OledController {
  readonly name: 'ssd1306' | 'sh1106'
  readonly columnOffset: number
  readonly cost: SendingCost
  /** From power-on or from any state to ours; the panel stays dark. One transfer. */
  setUp(settings: PanelSettings): Uint8Array
  /** Control and command bytes that set where the following data go, the data's control byte included. */
  window(rect: PageRect, columnOffset: number): Uint8Array
}

const MODES = {
  displayOff: 0xae,
  displayOn: 0xaf,
  noOperation: 0xe3,
} as const

/** Does nothing but ask for an acknowledge. */
export const NO_OPERATION = Uint8Array.of(COMMANDS, MODES.noOperation)

/** Contrast 0 to 255, the deselect level that goes with it, and light. */
export function lightCommands(
  level: { readonly contrast: number; readonly dim: boolean } | 'off',
): Uint8Array {
  return level === 'off'
    ? Uint8Array.of(COMMANDS, MODES.displayOff)
    : // DB: a lower level for VCOMH darkens further than contrast 0 alone.
      Uint8Array.of(COMMANDS, 0x81, level.contrast, 0xdb, level.dim ? 0x00 : 0x40, MODES.displayOn)
}

/** What both controllers share, in the order of SSD1306's application note (figure 4-1: software initialisation flow). */
function common({ rows, invert }: PanelSettings, voltage: readonly number[]): number[] {
  return [
    ...[COMMANDS, MODES.displayOff],
    ...[0xd5, 0x80], // oscillator and clock divider: the reset value
    ...[0xa8, rows - 1], // multiplex ratio
    ...[0xd3, 0x00], // no display offset
    0x40, // start line 0
    ...voltage,
    0xa1, // column 127 is SEG0: modules are wired so that this is upright
    0xc8, // COM scanned downwards, likewise
    ...[0xda, rows === 64 ? 0x12 : 0x02], // COM pins: alternating for 64 rows, sequential for 32
    0xa4, // show the memory
    invert ? 0xa7 : 0xa6,
  ]
}

const announced = (...commands: number[]) => commands.flatMap((command) => [ONE_COMMAND, command])

export const SSD1306: OledController = {
  name: 'ssd1306',
  columnOffset: 0,
  // Address, six announced commands, the data's control byte.
  cost: { overhead: 1 + 12 + 1, spansPages: true },
  setUp: (settings) =>
    Uint8Array.from([
      ...common(settings, [
        ...[0x8d, settings.chargePump ? 0x14 : 0x10],
        ...[0xd9, settings.chargePump ? 0xf1 : 0x22], // pre-charge
        ...[0x20, 0x00], // horizontal addressing
        0x2e, // no scrolling
      ]),
    ]),
  window: ({ page, lastPage, column, lastColumn }, offset) =>
    Uint8Array.from([...announced(0x21, column + offset, lastColumn + offset, 0x22, page, lastPage), DATA]),
}

export const SH1106: OledController = {
  name: 'sh1106',
  // 132 columns of memory, 128 of glass in their middle.
  columnOffset: 2,
  // Address, three announced commands, the data's control byte. It has page addressing only.
  cost: { overhead: 1 + 6 + 1, spansPages: false },
  setUp: (settings) =>
    Uint8Array.from([
      ...common(settings, [
        ...[0xad, settings.chargePump ? 0x8b : 0x8a], // DC-DC converter
        0x32, // its output: 8.0 V, the reset value
        ...[0xd9, 0x22], // pre-charge: the reset value
      ]),
    ]),
  window: ({ page, column }, offset) => {
    const at = column + offset
    return Uint8Array.from([...announced(0xb0 | page, at & 0x0f, 0x10 | (at >> 4)), DATA])
  },
}
