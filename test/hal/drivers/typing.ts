// A finger that types a text on a keyboard of a layout: the key events of a scanner or a stripe reader.
import { KEYBOARD_LAYOUTS, type KeyboardLayoutName } from '../../../hal/drivers/evdev/keyboard-layouts.js'

const [EV_KEY, SHIFT, CONTROL, ALT_GR] = [1, 42, 29, 100]

/** Presses and releases the keys that type `content`; control characters by Control and a key. */
export function typeOn(
  layout: KeyboardLayoutName,
  content: string,
  send: (type: number, code: number, value: number) => void,
): void {
  const keys = Object.entries(KEYBOARD_LAYOUTS[layout]) as [string, readonly [string, string, string?]][]
  for (const character of content) {
    const control = character < ' ' && character !== '\r' && character !== '\t'
    const wanted = control ? String.fromCharCode(character.charCodeAt(0) | 0x40) : character
    // The main block before the keypad, plain before shifted.
    const found = [0, 1, 2].flatMap((level) =>
      keys.filter(([, typed]) => typed[level] === wanted).map(([code]) => [Number(code), level] as const),
    )
    const [code, level] = found[0] ?? []
    if (code === undefined || level === undefined)
      throw new Error(`no key types ${JSON.stringify(character)}`)
    const modifiers = [level === 1 ? SHIFT : 0, level === 2 ? ALT_GR : 0, control ? CONTROL : 0].filter(
      Boolean,
    )
    for (const modifier of modifiers) send(EV_KEY, modifier, 1)
    send(EV_KEY, code, 1)
    send(EV_KEY, code, 0)
    for (const modifier of modifiers) send(EV_KEY, modifier, 0)
  }
}
