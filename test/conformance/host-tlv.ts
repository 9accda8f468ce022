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

/** True where the first length of `data` is written as EMV never writes it: `80` (indefinite), `FF`, or four bytes and more. */
function lengthOutsideEmv(data: string): boolean {
  const bytes = fromHex(data)
  const first = bytes[(bytes[0]! & 0x1f) === 0x1f ? 2 : 1]!
  return first === 0x80 || first > 0x83
}

const decode: Handler = ({ inputs, expected }) => {
  const act = () => tree(parseTlv(fromHex(inputs.data)), inputs.flatten === true)
  if (expected.error !== undefined) return mustRefuse(act, expected.error)
  if (inputs.data.length > 0 && lengthOutsideEmv(inputs.data))
    return skipped(
      'the book is on our side: Book 3, annex B2: a length has one to three bytes and is definite',
    )
  return check(expected.result, act())
}

function list(given: Vector): Uint8Array {
  const items = Object.entries(given as Tree).map(([tag, value]) => {
    const bytes = fromHex(tag)
    const number = bytes.reduce((sum, byte) => sum * 256 + byte, 0)
    return encodeTlv(number, typeof value === 'string' ? fromHex(value) : list(value))
  })
  const whole = fromHex(items.map(toHex).join(''))
  // What was written also reads back and writes again to the same.
  return encodeTlvList(parseTlv(whole))
}

const holdsList = (given: Vector): boolean =>
  Object.values(given).some(
    (value) => Array.isArray(value) || (typeof value === 'object' && holdsList(value)),
  )

const encode: Handler = ({ inputs, expected }) => {
  if (holdsList(inputs.tlv))
    return skipped(
      'a value of another Python type: these arguments are typed here, there is nothing to refuse',
    )
  const act = () => toHex(list(inputs.tlv))
  const longest = Math.max(0, ...Object.values(inputs.tlv).map((value) => String(value).length / 2))
  if (inputs.simple === true && longest >= 0x80)
    return skipped('the book is on our side: Book 3, annex B2: lengths above 127 take a second byte')
  return expected.error === undefined ? check(expected.result, act()) : mustRefuse(act, expected.error)
}

export const TLV_KINDS: readonly Kind[] = [
  { kind: 'pyemv.tlv.decode', handler: decode },
  { kind: 'pyemv.tlv.encode', handler: encode },
]
