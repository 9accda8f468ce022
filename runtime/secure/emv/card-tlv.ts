// TLV as a card sends it: malformed is an answer like any other, never an exception (EMV Book 3 v4.4, 7.5 and annex B).
import { readTlv, type Tlv } from '../../../hal/base/tlv.js'

/** A list of data objects; undefined where the bytes are none. The card's malformed data are no fault of ours. */
export function tryParseTlv(bytes: Uint8Array): Tlv[] | undefined {
  const list = readTlv(bytes)
  return Array.isArray(list) ? list : undefined
}

/** The objects inside a template; none in one that isn't there. */
export function childrenOf(template: Tlv | undefined): readonly Tlv[] {
  return template?.children ?? []
}

/** The one template of that tag that the answer consists of; undefined for anything else. */
export function tryParseTemplate(bytes: Uint8Array, tag: number): Tlv | undefined {
  const list = tryParseTlv(bytes)
  return list?.length === 1 && list[0]!.tag === tag ? list[0] : undefined
}
