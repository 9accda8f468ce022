// Fuzz target: data object lists, against a second reading of Book 3, 5.4 that works on hex text.
import { toHex } from '../../hal/base/bytes.js'
import { PosternError } from '../../hal/base/errors.js'
import { formatOfTag } from '../../hal/base/tags.js'
import { buildDolData, dolHas, MAX_DOL_DATA } from '../../runtime/secure/emv/dol.js'

/** Tag and length pairs; undefined where the list is none. */
function entries(hex: string): [tag: string, length: number][] | undefined {
  const out: [string, number][] = []
  let rest = hex
  while (rest !== '') {
    const first = Number.parseInt(rest.slice(0, 2), 16)
    let size = 2
    if (first % 32 === 31)
      do {
        size += 2
        if (size > 8 || rest.length < size) return undefined
      } while (Number.parseInt(rest.slice(size - 2, size), 16) >= 128)
    if (rest.length < size + 2) return undefined
    out.push([rest.slice(0, size), Number.parseInt(rest.slice(size, size + 2), 16)])
    rest = rest.slice(size + 2)
  }
  return out
}

/** One field as rules 2a to 2d have it. */
function field(tag: string, length: number, value: string | undefined): string {
  const constructed = Math.floor(Number.parseInt(tag.slice(0, 2), 16) / 32) % 2 === 1
  if (value === undefined || constructed) return '00'.repeat(length)
  const digits = length * 2
  switch (formatOfTag(Number.parseInt(tag, 16))) {
    case 'n':
      return length === 0 ? '' : value.padStart(digits, '0').slice(-digits)
    case 'cn':
      return value.padEnd(digits, 'F').slice(0, digits)
    default:
      return value.padEnd(digits, '0').slice(0, digits)
  }
}

export const target = {
  name: 'data object lists',
  run(bytes: Uint8Array): string {
    const list = entries(toHex(bytes))
    const length = list?.reduce((sum, [, size]) => sum + size, 0) ?? 0
    const held = (tag: number) => (tag % 3 === 0 ? bytes.subarray(0, tag % 11) : undefined)
    let data: Uint8Array
    try {
      data = buildDolData(bytes, held)
    } catch (error) {
      if (!(error instanceof PosternError) || error.code !== 'DOL_INVALID') throw error
      if (list && length <= MAX_DOL_DATA) throw new Error('a good list is refused', { cause: error })
      return String(error.details['rule'])
    }
    if (!list) throw new Error('a bad list is served')
    const expected = list.map(([tag, size]) => {
      const value = held(Number.parseInt(tag, 16))
      return field(tag, size, value && toHex(value))
    })
    if (toHex(data) !== expected.join('')) throw new Error(`${toHex(data)} instead of ${expected.join('')}`)
    for (const [tag] of list) if (!dolHas(bytes, Number.parseInt(tag, 16))) throw new Error(`no ${tag}`)
    return 'served'
  },
}
