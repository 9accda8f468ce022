// Key events of a device that types as bytes in Latin-1 (ISO 8859-1): what a scanner or stripe reader "types".
import { EV_KEY, type InputEvent } from './input-event.js'
import { KEYBOARD_LAYOUTS, type KeyboardLayoutName } from './keyboard-layouts.js'

const SHIFTS = [42, 54]
const CONTROLS = [29, 97]
const ALT_GR = 100
const CAPS_LOCK = 58

export interface TypedBytes {
  /** The byte that the event typed, undefined where it typed none. The kernel's auto-repeat types nothing. */
  take(event: InputEvent): number | undefined
  /** Nothing is held down any more. */
  reset(): void
}

/** Reads what is typed in a layout. Control and a key type the control character, as scanners send GS (Ctrl ]). */
export function typedBytes(name: KeyboardLayoutName): TypedBytes {
  const layout: Readonly<Record<number, readonly [string, string, string?]>> = KEYBOARD_LAYOUTS[name]
  const held = new Set<number>()
  let capsLock = false
  const holds = (codes: readonly number[]) => codes.some((code) => held.has(code))

  return {
    take({ type, code, value }) {
      if (type !== EV_KEY) return undefined
      if (SHIFTS.includes(code) || CONTROLS.includes(code) || code === ALT_GR) {
        if (value === 0) held.delete(code)
        else held.add(code)
        return undefined
      }
      if (value !== 1) return undefined
      if (code === CAPS_LOCK) {
        capsLock = !capsLock
        return undefined
      }
      const key = layout[code]
      if (key === undefined) return undefined
      const [plain, shifted, third] = key
      const isLetter = plain !== shifted && plain.toUpperCase() === shifted
      const shift = holds(SHIFTS) !== (capsLock && isLetter)
      const character = held.has(ALT_GR) ? third : shift ? shifted : plain
      const byte = character?.charCodeAt(0)
      if (byte === undefined || byte > 0xff) return undefined
      return holds(CONTROLS) && byte >= 0x40 ? byte & 0x1f : byte
    },
    reset() {
      held.clear()
      capsLock = false
    },
  }
}
