// TLV as a card sends it: malformed is an answer like any other, never an exception (EMV Book 3 v4.4, 7.5 and annex B).

import { isPosternError } from '../../../hal/base/errors.js'
import { parseOneTlv, parseTlv, type Tlv } from '../../../hal/base/tlv.js'

/** A list of data objects; undefined where the bytes are none. The card's malformed data are no fault of ours. */
export function tryParseTlv(bytes: Uint8Array): Tlv[] | undefined {
  try {
    return parseTlv(bytes)
  } catch (error) {
    if (isPosternError(error, 'TLV_INVALID')) return undefined
    throw error
  }
}

/** The one template of that tag that the answer consists of; undefined for anything else. */
export function tryParseTemplate(bytes: Uint8Array, tag: number): Tlv | undefined {
  try {
    const template = parseOneTlv(bytes)
    return template.tag === tag ? template : undefined
  } catch (error) {
    if (isPosternError(error, 'TLV_INVALID')) return undefined
    throw error
  }
}
