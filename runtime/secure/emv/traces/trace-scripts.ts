// Issuer scripts without the PINs in them: PIN CHANGE/UNBLOCK carries one, enciphered (EMV Book 3 v4.4, 6.5.10 and 10.10).
import { TAG } from '../../../../hal/base/tags.js'
import type { Tlv } from '../../../../hal/base/tlv.js'
import { tryParseTlv } from '../card-tlv.js'

const PIN_CHANGE = 0x24

/** A copy of a template 71 or 72 whose PIN CHANGE commands have zeros for data; one that cannot be read stays unreadable. */
export function withoutScriptPins(template: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(template)
  const list = tryParseTlv(copy)
  if (!list) return copy.fill(0xff, 1)
  const walk = (items: readonly Tlv[]) => {
    for (const { tag, value, children } of items) {
      if (children) walk(children)
      else if (tag === TAG.SCRIPT_COMMAND && value[1] === PIN_CHANGE) value.fill(0, 5)
    }
  }
  walk(list)
  return copy
}
