// Colours by meaning, one theme for colour panels and one for panels of one bit.
import { rgb } from './canvas.js'

export interface Theme {
  readonly mono: boolean
  readonly background: number
  readonly text: number
  readonly faint: number
  readonly line: number
  readonly status: number
  readonly statusText: number
  /** The top row while the secure world asks something; no app can have this colour there. */
  readonly secure: number
  readonly secureText: number
  readonly accent: number
  readonly onAccent: number
  /** Faint text on the selected row. */
  readonly onAccentFaint: number
  readonly field: number
  readonly keys: number
  readonly keysText: number
  readonly success: number
  readonly warning: number
  readonly error: number
  readonly onTone: number
  /** The strip that says NOT FOR PIN. */
  readonly caution: number
  readonly onCaution: number
  readonly paper: number
  readonly ink: number
}

const white = 0xffff
const black = 0

/** Dark text on light ground: readable in sunlight at a door. */
export const colourTheme: Theme = {
  mono: false,
  background: rgb(0xf5, 0xf7, 0xfa),
  text: rgb(0x10, 0x1c, 0x2c),
  faint: rgb(0x5a, 0x68, 0x7a),
  line: rgb(0xd3, 0xda, 0xe2),
  status: rgb(0x14, 0x21, 0x33),
  statusText: rgb(0xe8, 0xee, 0xf5),
  secure: rgb(0x05, 0x6b, 0x52),
  secureText: white,
  accent: rgb(0x15, 0x5e, 0xc4),
  onAccent: white,
  onAccentFaint: rgb(0xcf, 0xe0, 0xf8),
  field: white,
  keys: rgb(0xe4, 0xe9, 0xef),
  keysText: rgb(0x10, 0x1c, 0x2c),
  success: rgb(0x0c, 0x8a, 0x4d),
  warning: rgb(0xd0, 0x74, 0x08),
  error: rgb(0xc4, 0x24, 0x2d),
  onTone: white,
  caution: rgb(0xff, 0xd8, 0x4d),
  onCaution: rgb(0x33, 0x26, 0x00),
  paper: white,
  ink: rgb(0x22, 0x22, 0x22),
}

/** Lit on dark, as on an OLED; everything is either lit or not. */
export const monoTheme: Theme = {
  mono: true,
  background: black,
  text: white,
  faint: white,
  line: white,
  status: black,
  statusText: white,
  secure: white,
  secureText: black,
  accent: white,
  onAccent: black,
  onAccentFaint: black,
  field: black,
  keys: black,
  keysText: white,
  success: white,
  warning: white,
  error: white,
  onTone: black,
  caution: white,
  onCaution: black,
  paper: black,
  ink: white,
}
