// Handlers of host/ber-tlv: trees of tag and value as another codec reads and writes them.
import { fromHex, toHex } from '../../hal/base/bytes.js'
import { PosternError } from '../../hal/base/errors.js'
import { encodeTlvList, isConstructed, parseTlv, type Tlv, tagName } from '../../hal/base/tlv.js'
import { expectResult, type Handler, type Kind, skipped } from './vectors.js'

/** `{tag: hex or tree}`; of a tag that stands twice their dictionary keeps the last. */
interface Tree {
  [tag: string]: string | Tree
}

function treeOf(list: readonly Tlv[], flat: boolean): Tree {
  const tree: Tree = {}
  for (const { tag, value, children } of list) {
    if (!children) tree[tagName(tag)] = toHex(value)
    else if (flat) Object.assign(tree, treeOf(children, true))
    else tree[tagName(tag)] = treeOf(children, false)
  }
  return tree
}

const refuse = (what: string) => new PosternError('TLV_INVALID', what)

function listOf(tree: Tree): Tlv[] {
  return Object.entries(tree).map(([name, value]) => {
    const bytes = fromHex(name)
    const tag = bytes.reduce((sum, byte) => sum * 256 + byte, 0)
    const list = typeof value === 'object' && !Array.isArray(value)
    if (isConstructed(tag) !== list) throw refuse('a template holds a list, anything else bytes')
    if (typeof value === 'string') return { tag, value: fromHex(value) }
    return { tag, value: new Uint8Array(), children: listOf(value) }
  })
}

const decode: Handler = (vector) => {
  if (vector.inputs.simple) return skipped('lengths of one plain byte are not BER (Book 3, annex B2)')
  const verdict = expectResult(vector, 'result', () =>
    treeOf(parseTlv(fromHex(vector.inputs.data)), vector.inputs.flatten === true),
  )
  if (verdict.kind === 'failed' && /^(..|[9D]F..)80$/.test(vector.inputs.data))
    return skipped('the book is on our side: Book 3, annex B2: length 80 (indefinite) is not used')
  return verdict
}

const encode: Handler = (vector) => {
  if (vector.inputs.simple && (vector.expected.error || /^9C(80|FF)/.test(vector.expected.result)))
    return skipped('lengths of one plain byte are not BER (Book 3, annex B2)')
  return expectResult(vector, 'result', () => toHex(encodeTlvList(listOf(vector.inputs.tlv))))
}

export const TLV_KINDS: readonly Kind[] = [
  { kind: 'pyemv.tlv.decode', handler: decode },
  { kind: 'pyemv.tlv.encode', handler: encode },
]
