// DOL: every padding rule of Book 3, 5.4, and the bounds.
import t from 'tap'
import { fromHex, toHex } from '../../../../hal/base/bytes.js'
import { buildDolData, dolDataLength, dolHas, parseDol } from '../../../../runtime/secure/emv/dol.js'

const values: Record<number, string> = {
  40706: '000000001250',
  40759: 'DEADBEEF',
  90: '5413330089604111',
  154: '261122',
  112: '9C0101',
}
const build = (dol: string) =>
  toHex(
    buildDolData(fromHex(dol), (tag) => {
      const hex = values[tag]
      return hex === undefined ? undefined : fromHex(hex)
    }),
  )

t.test('numeric pads left with zeros and keeps the rightmost digits', async (t) => {
  t.equal(build('9F0208'), '0000000000001250')
  t.equal(build('9F0202'), '1250')
})

t.test('compressed numeric pads right with FF and keeps the leftmost digits', async (t) => {
  t.equal(build('5A0A'), '5413330089604111FFFF')
  t.equal(build('5A03'), '541333')
})

t.test('everything else pads right with zeros and keeps the leftmost bytes', async (t) => {
  t.equal(build('9F3706'), 'DEADBEEF0000')
  t.equal(build('9F3702'), 'DEAD')
})

t.test('an unknown tag and a constructed tag are zeros', async (t) => {
  t.equal(build('9F7E03'), '000000')
  t.equal(build('7003'), '000000')
})

t.test('the same tag twice is served twice', async (t) => {
  t.equal(build('9A039F37049A03'), '261122DEADBEEF261122')
})

t.test('refuses what is cut short or asks for more than an APDU carries', async (t) => {
  t.throws(() => parseDol(fromHex('9F')), { code: 'DOL_INVALID', details: { offset: 0 } })
  t.throws(() => parseDol(fromHex('9F37')), { code: 'DOL_INVALID', details: { offset: 2 } })
  t.throws(() => parseDol(fromHex('9F8181818101')), { code: 'DOL_INVALID' })
  t.throws(() => build('9F37FF9A03'), { code: 'DOL_INVALID' })
  t.equal(dolDataLength(parseDol(fromHex('9F37FF9A03'))), 258)
})

t.test('knows what it holds, and a malformed list holds nothing', async (t) => {
  t.ok(dolHas(fromHex('9F37049A03'), 0x9f37))
  t.notOk(dolHas(fromHex('9A03'), 0x9f37))
  t.notOk(dolHas(fromHex('9F37'), 0x9f37))
  t.notOk(dolHas(undefined, 0x9f37))
})
