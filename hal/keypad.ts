// Keypad: debounced key presses, in order. Secure world only: what is typed may be a PIN.
import type { Device } from './device.js'

export const KEYS = [
  '0',
  '1',
  '2',
  '3',
  '4',
  '5',
  '6',
  '7',
  '8',
  '9',
  '00',
  'enter',
  'clear',
  'cancel',
  'up',
  'down',
  'left',
  'right',
  'soft1',
  'soft2',
  'scan',
  'menu',
] as const
export type Key = (typeof KEYS)[number]

export interface KeyPress {
  readonly type: 'key'
  readonly key: Key
  /** Auto-repeat of a key that is held: only up, down, left, right and clear repeat. */
  readonly repeat: boolean
}

/**
 * Key events are delivered through `on` within 50 ms of the contact closing, once per press: bounce (at most 20 ms)
 * is filtered and ghost keys of a matrix are suppressed by the driver. Presses before the first listener are dropped;
 * nothing is buffered, so that a PIN can't be typed ahead into a screen that isn't there yet. A key that is held
 * while the device comes back has to be let go first.
 */
export interface Keypad extends Device<'ready', KeyPress> {
  readonly deviceClass: 'keypad'
  readonly capabilities: { readonly keys: readonly Key[] }
}
