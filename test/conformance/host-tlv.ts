// Handlers of host/ber-tlv: pyemv's dictionaries of tags against the house's lists of data objects.
import { fromHex, toHex } from '../../hal/base/bytes.js'
import { encodeTlv, encodeTlvList, parseTlv, type Tlv, tagName } from '../../hal/base/tlv.js'
import { check, type Handler, type Kind, mustRefuse, skipped, type Vector } from './vectors.js'

type Tree = { [tag: string]: string | Tree }

function tree(list: readonly Tlv[], flatten: boolean): Tree {
  const out: Tree = {}
  for (const { tag, value, children } of list) {
    if (children === undefined) out[tagName(tag)] = toHex(value)
    else if (flatten) Object.assign(out, tree(children, true))
    else out[tagName(tag)] = tree(children, false)
  }
  return out
}

/** What of pyemv's own decoder the book has not, and what the product must therefore refuse. */
const OUTSIDE_EMV: readonly {
  readonly applies: (first: number, simple: boolean) => boolean
  readonly clause: string
}[] = [
  {
    applies: (first, simple) => simple && first >= 0x80,
    clause: 'Book 3, annex B2: lengths are BER; a one-byte length above 127 (simple TLV) is none',
  },
  {
    applies: (first) => first === 0x80,
    clause:
      'Book 3, annex B2: the length is a number of bytes; 80, the indefinite one of ISO/IEC 8825, is not coded',
  },
  {
    applies: (first) => first > 0x83,
    clause: 'Book 3, annex B: a length field has one or two bytes, three for scripts and tag 86',
  },
]

/** The first byte of the first length; undefined where the data end before it. */
function firstLength(bytes: Uint8Array): number | undefined {
  return bytes[(bytes[0]! & 0x1f) === 0x1f ? 2 : 1]
}

const decode: Handler = ({ inputs, expected }) => {
  const act = () => tree(parseTlv(fromHex(inputs.data)), inputs.flatten === true)
  if (expected.error !== undefined) return mustRefuse(act, expected.error)
  const first = inputs.data === '' ? undefined : firstLength(fromHex(inputs.data))
  const row = OUTSIDE_EMV.find(({ applies }) => first !== undefined && applies(first, inputs.simple === true))
  if (row === undefined) return check(expected.result, act())
  const refused = mustRefuse(act)
  return refused.kind === 'passed' ? skipped(`the book is on our side: ${row.clause}; refused`) : refused
}

function list(given: Vector): Uint8Array {
  const items = Object.entries(given as Tree).map(([tag, value]) => {
    const bytes = fromHex(tag)
    const number = bytes.reduce((sum, byte) => sum * 256 + byte, 0)
    // A list is no value that our types let through; whoever passes one all the same gets a typed error.
    if (Array.isArray(value)) return encodeTlv(number, value as never)
    return encodeTlv(number, typeof value === 'string' ? fromHex(value) : list(value))
  })
  const whole = fromHex(items.map(toHex).join(''))
  // What was written also reads back and writes again to the same.
  return encodeTlvList(parseTlv(whole))
}

const hexOf = (number: number, digits: number) => number.toString(16).toUpperCase().padStart(digits, '0')

const encode: Handler = ({ inputs, expected }) => {
  const act = () => toHex(list(inputs.tlv))
  // Simple TLV has one length byte, or FF and two; the book's lengths above 127 begin with 81 or 82. What is written is
  // held against what pyemv asserts without the first length, and the first length against the book.
  const [[tag = '', value = ''] = []] = Object.entries(inputs.tlv as Tree)
  const length = typeof value === 'string' ? value.length / 2 : 0
  if (inputs.simple === true && length >= 0x80) {
    const written = act()
    const asBook = `${tag}${length > 0xff ? `82${hexOf(length, 4)}` : `81${hexOf(length, 2)}`}${value}`
    // pyemv refuses what its one or three bytes cannot say; the book's can.
    const verdict = check(asBook, written)
    return verdict.kind === 'passed'
      ? skipped('the book is on our side: Book 3, annex B2: lengths above 127 take a second byte')
      : verdict
  }
  return expected.error === undefined ? check(expected.result, act()) : mustRefuse(act, expected.error)
}

export const TLV_KINDS: readonly Kind[] = [
  { kind: 'pyemv.tlv.decode', handler: decode },
  { kind: 'pyemv.tlv.encode', handler: encode },
]
