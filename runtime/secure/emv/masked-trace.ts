// An APDU trace that may be kept: PAN, track, name and PIN bytes are zeros of the same length (PCI DSS 3.3 and 3.4).
import { toHex } from '../../../hal/base/bytes.js'
import { TAG } from '../../../hal/base/tags.js'
import type { Tlv } from '../../../hal/base/tlv.js'
import { tryParseTlv } from './card-tlv.js'
import type { ApduTrace } from './transport.js'

/** One exchange, upper-case hex. */
export interface TraceEntry {
  readonly c: string
  readonly r: string
}

/** Track 1 and 2 with their discretionary data, PAN, name; 56 and 9F6B are the contactless forms. */
const SENSITIVE: ReadonlySet<number> = new Set([
  TAG.TRACK2,
  TAG.PAN,
  TAG.CARDHOLDER_NAME,
  0x56,
  0x9f0b,
  0x9f1f,
  0x9f20,
  0x9f6b,
])
const INS_VERIFY = 0x20
/** Values shorter than this are too common to be looked for elsewhere. */
const MIN_NEEDLE = 6

/** Masks each exchange as it passes. Values once seen are also blanked where a DOL sends them back to the card. */
export function maskedTrace(keep: (entry: TraceEntry) => void): ApduTrace {
  const needles: string[] = []
  return (command, response) => {
    const c = command[1] === INS_VERIFY ? blank(command, 5, command.length) : toHex(command)
    keep({ c: hide(c, needles), r: hide(maskResponse(response, needles), needles) })
  }
}

function maskResponse(response: Uint8Array, needles: string[]): string {
  const data = response.subarray(0, Math.max(0, response.length - 2))
  if (data.length === 0) return toHex(response)
  const list = tryParseTlv(data)
  // Not readable by itself, such as a piece of a chained answer: nothing of it is kept.
  if (!list) return blank(response, 0, data.length)
  const copy = Uint8Array.from(response)
  const walk = (items: readonly Tlv[]) => {
    for (const item of items) {
      if (item.children) walk(item.children)
      else if (SENSITIVE.has(item.tag)) {
        if (item.value.length >= MIN_NEEDLE) needles.push(toHex(item.value).replace(/F+$/, ''))
        const at = item.value.byteOffset - response.byteOffset
        copy.fill(0, at, at + item.value.length)
      }
    }
  }
  walk(list)
  return toHex(copy)
}

function blank(bytes: Uint8Array, from: number, to: number): string {
  const copy = Uint8Array.from(bytes)
  copy.fill(0, from, to)
  return toHex(copy)
}

function hide(hex: string, needles: readonly string[]): string {
  return needles.reduce((text, needle) => text.replaceAll(needle, '0'.repeat(needle.length)), hex)
}
