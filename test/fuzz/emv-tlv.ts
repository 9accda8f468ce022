// Fuzz target: BER-TLV refuses with its typed error and an offset inside the input, or gives back what it read.
import { concat, equalBytes } from '../../hal/base/bytes.js'
import { PosternError } from '../../hal/base/errors.js'
import { encodeTlvList, parseTlv, type Tlv } from '../../hal/base/tlv.js'

function depth(list: readonly Tlv[]): number {
  return list.reduce((most, item) => Math.max(most, item.children ? 1 + depth(item.children) : 1), 0)
}

function leaves(list: readonly Tlv[]): Uint8Array {
  return concat(...list.map((item) => (item.children ? leaves(item.children) : item.value)))
}

export const target = {
  name: 'BER-TLV',
  run(bytes: Uint8Array): string {
    let list: Tlv[]
    try {
      list = parseTlv(bytes)
    } catch (error) {
      const offset = error instanceof PosternError && error.code === 'TLV_INVALID' && error.details['offset']
      if (
        !(error instanceof PosternError) ||
        typeof offset !== 'number' ||
        offset < 0 ||
        offset > bytes.length
      )
        throw error
      return error.message.replaceAll(/[0-9]+/g, '')
    }
    if (depth(list) > 8) throw new Error('deeper than the bound')
    // Lengths come back shorter where the card wasted bytes; the values must be the same ones in the same order.
    const again = parseTlv(encodeTlvList(list))
    if (!equalBytes(leaves(again), leaves(list))) throw new Error('values differ after encoding')
    return list.length === 0 ? 'nothing' : 'read'
  },
}
