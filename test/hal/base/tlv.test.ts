// BER-TLV: order, duplicates, padding, bounds, and where a fault is.
import t from 'tap'
import { fromHex, toHex } from '../../../hal/base/bytes.js'
import { PosternError } from '../../../hal/base/errors.js'
import { TAG, TAGS } from '../../../hal/base/tags.js'
import {
  atPath,
  encodeTlv,
  encodeTlvList,
  findAllTlv,
  findDeepTlv,
  findTlv,
  isConstructed,
  isTag,
  parseOneTlv,
  parseTlv,
  tagName,
} from '../../../hal/base/tlv.js'

function fault(hex: string): string {
  try {
    parseTlv(fromHex(hex))
  } catch (error) {
    if (error instanceof PosternError && error.code === 'TLV_INVALID')
      return `${error.details['rule']}@${error.details['offset']}`
    throw error
  }
  return 'accepted'
}

t.test('keeps order and duplicates, and skips 00 between objects', async (t) => {
  const list = parseTlv(fromHex('00009C01019F3704DEADBEEF00009C0102'))
  t.same(
    list.map((item) => [tagName(item.tag), toHex(item.value)]),
    [
      ['9C', '01'],
      ['9F37', 'DEADBEEF'],
      ['9C', '02'],
    ],
  )
  t.equal(findAllTlv(list, 0x9c).length, 2)
})

t.test('nests constructed objects and finds by path and by depth', async (t) => {
  const list = parseTlv(fromHex('6F128407A0000000031010A5075005564953412B'))
  t.equal(atPath(list, TAG.FCI, TAG.FCI_PROPRIETARY, TAG.APPLICATION_LABEL)?.value.length, 5)
  t.equal(findDeepTlv(list, 0x84)?.value.length, 7)
  t.equal(findTlv(list, 0x84), undefined)
  t.equal(atPath(list, TAG.FCI, 0xbf0c), undefined)
  t.equal(toHex(encodeTlvList(list)), '6F128407A0000000031010A5075005564953412B')
})

t.test('says where a fault is', async (t) => {
  t.equal(fault('9F'), 'tag cut short@0')
  t.equal(fault('9F8181818101'), 'tag too long@0')
  t.equal(fault('9C0101 9F02'.replace(' ', '')), 'length missing@5')
  t.equal(fault('9C80'), 'indefinite length@1')
  t.equal(fault('9C8400000001FF'), 'length too long@1')
  t.equal(fault('9C82FF'), 'length cut short@1')
  t.equal(fault('7003'), 'value cut short@2')
  t.equal(fault('70039C0501'), 'value cut short@4')
})

t.test('bounds the depth at eight', async (t) => {
  const nest = (depth: number): Uint8Array =>
    depth === 0 ? new Uint8Array() : encodeTlv(0x70, nest(depth - 1))
  t.equal(fault(toHex(nest(7))), 'accepted')
  t.match(fault(toHex(nest(8))), /nested too deep/)
})

t.test('accepts long forms of length and encodes the shortest', async (t) => {
  t.equal(toHex(parseOneTlv(fromHex('9C830000 01FF'.replace(' ', ''))).value), 'FF')
  t.equal(toHex(encodeTlv(0x9f4b, new Uint8Array(0x80))).slice(0, 8), '9F4B8180')
  t.equal(toHex(encodeTlv(0x93, new Uint8Array(0x100))).slice(0, 8), '93820100')
  t.equal(toHex(encodeTlv(0x93, new Uint8Array(0x10000))).slice(0, 10), '9383010000')
})

t.test('one object means one', async (t) => {
  t.throws(() => parseOneTlv(fromHex('9C01019C0102')), { code: 'TLV_INVALID' })
  t.throws(() => parseOneTlv(fromHex('0000')), { code: 'TLV_INVALID' })
})

t.test('knows a tag from a number that is none', async (t) => {
  for (const tag of [0x9c, 0x9f02, 0xdf8101, 0xbf0c]) t.ok(isTag(tag), tagName(tag))
  for (const tag of [0, 0x9f, 0x9c01, 0x9f8f, -1, 1.5]) t.notOk(isTag(tag), String(tag))
  t.throws(() => encodeTlv(0x9c01, new Uint8Array()), { code: 'TLV_INVALID' })
})

t.test('the tag table is consistent', async (t) => {
  for (const row of TAGS.values()) {
    t.ok(isTag(row.tag), row.name)
    t.ok(row.min <= row.max, row.name)
  }
  for (const tag of Object.values(TAG)) t.ok(TAGS.has(tag), tagName(tag))
  t.ok(isConstructed(0x70))
  t.notOk(isConstructed(0x9f02))
})
