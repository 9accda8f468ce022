// ISO 8583: codec, notation, dialects, description, framing, MAC placement.
import t from 'tap'
import { concat, fromHex, toHex } from '../../../../hal/base/bytes.js'
import { PosternError } from '../../../../hal/base/errors.js'
import {
  defineDialect,
  type Message,
  pack,
  patchDialect,
  unpack,
} from '../../../../runtime/secure/payments/iso8583/codec.js'
import { describeMessage } from '../../../../runtime/secure/payments/iso8583/describe.js'
import {
  ISO87_ASCII,
  ISO87_ASCII_TABLE,
} from '../../../../runtime/secure/payments/iso8583/dialects/iso87-ascii.js'
import { ISO87_BINARY } from '../../../../runtime/secure/payments/iso8583/dialects/iso87-binary.js'
import { POSTERN_DEV } from '../../../../runtime/secure/payments/iso8583/dialects/postern-dev.js'
import { Deframer, frame } from '../../../../runtime/secure/payments/iso8583/framing.js'
import { packWithMac, splitMac } from '../../../../runtime/secure/payments/iso8583/mac.js'
import { restyle, row, type Style } from '../../../../runtime/secure/payments/iso8583/notation.js'
import {
  decodeCardData,
  decodeSecurityControl,
  encodeCardData,
  encodeSecurityControl,
} from '../../../../runtime/secure/payments/iso8583/security-fields.js'

const message = (mti: string, fields: Record<string, string | Uint8Array>): Message => ({
  mti,
  fields: new Map(Object.entries(fields)),
})

const refusedAt = (path: string) => ({ code: 'ISO8583_INVALID', details: { path } })

/** A whole sale as the development dialect writes it, each field spelled out below in the order of the wire. */
const SALE: Record<string, string | Uint8Array> = {
  '3': '000000',
  '4': '1250',
  '7': '1122054501',
  '11': '000042',
  '12': '064501',
  '13': '1122',
  '22': '051',
  '24': '001',
  '25': '00',
  '41': 'T0000001',
  '42': 'MERCHANT0000001',
  '48': fromHex('DF0102AABB'),
  '49': '978',
  '53': fromHex('DF0402CCDD'),
  '55': fromHex('9F260411223344'),
  '60': '000007',
  '62': '000123',
}

t.test('a sale of the development dialect lies on the wire as its table says', async (t) => {
  const bytes = pack(POSTERN_DEV, message('0200', { ...SALE, '64': fromHex('0102030405060708') }))
  t.equal(
    toHex(bytes),
    [
      '0200', // MTI, BCD
      '3238058000C18A15', // bitmap: 3 4 7 11 12 13 22 24 25 41 42 48 49 53 55 60 62 64
      '000000',
      '000000001250', // n12, zeros on the left
      '1122054501',
      '000042',
      '064501',
      '1122',
      '0051', // n3 in two bytes
      '0001',
      '00',
      '5430303030303031',
      '4D45524348414E5430303030303031',
      '0005DF0102AABB', // LLLVAR: two BCD bytes of length
      '0978',
      '05DF0402CCDD', // LLVAR: one BCD byte of length
      '00079F260411223344',
      '0006000007',
      '0006000123',
      '0102030405060708',
    ].join(''),
  )
  const back = unpack(POSTERN_DEV, bytes)
  t.equal(back.mti, '0200')
  t.same(Object.fromEntries(back.fields), {
    ...SALE,
    '4': '000000001250',
    '64': fromHex('0102030405060708'),
  })
})

t.test('the standard in ASCII and in binary: both bitmaps, signs, odd digits', async (t) => {
  const fields = { '2': '400000000000002', '4': '1', '28': 'C00000001', '70': '301', '90': '0'.repeat(42) }
  const text = pack(ISO87_ASCII, message('0800', fields))
  t.equal(
    Buffer.from(text).toString('latin1'),
    `0800D0000010000000000400004000000000${'15'}400000000000002000000000001C00000001301${'0'.repeat(42)}`,
  )
  const binary = pack(ISO87_BINARY, message('0800', fields))
  t.equal(
    toHex(binary),
    `0800D000001000000000040000400000000015040000000000000200000000000143000000010301${'0'.repeat(42)}`,
  )
  for (const [dialect, bytes] of [
    [ISO87_ASCII, text],
    [ISO87_BINARY, binary],
  ] as const)
    t.same(Object.fromEntries(unpack(dialect, bytes).fields), { ...fields, '4': '000000000001' })
})

t.test('a dialect is a patch: an EBCDIC one of the same table, a row out, a row changed', async (t) => {
  const ebcdic: Style = { digits: 'ebcdic', text: 'ebcdic', bytes: 'hex-ebcdic', prefix: 'ebcdic' }
  const table = patchDialect(restyle(ISO87_ASCII_TABLE, ebcdic), {
    name: 'ebcdic',
    rows: { 35: undefined, 44: row(ebcdic, 'ans..10', 'Shorter') },
  })
  const dialect = defineDialect(table)
  const bytes = pack(dialect, message('0110', { '39': '00', '44': 'Hi, you' }))
  t.equal(toHex(bytes), `F0F1F1F0${'F0F0F0F0F0F0F0F0F0F2F1F0F0F0F0F0'}F0F0F0F7C8896B40A896A4`)
  t.same(Object.fromEntries(unpack(dialect, bytes).fields), { '39': '00', '44': 'Hi, you' })
  t.throws(() => pack(dialect, message('0110', { '35': '1' })), refusedAt('35'))
  t.throws(() => pack(dialect, message('0110', { '44': 'eleven char' })), refusedAt('44'))
})

t.test('a third bitmap where the dialect has one', async (t) => {
  const table = patchDialect(ISO87_ASCII_TABLE, {
    name: 'three',
    bitmaps: ['hex', 'hex', 'hex'],
    rows: { 130: row({ digits: 'ascii', text: 'ascii', bytes: 'hex', prefix: 'ascii' }, 'ans..9', 'Late') },
  })
  const dialect = defineDialect(table)
  const bytes = pack(dialect, message('0100', { '11': '1', '130': 'x' }))
  t.equal(
    Buffer.from(bytes).toString('latin1'),
    `0100${'8020000000000000'}${'8000000000000000'}${'4000000000000000'}00000101x`,
  )
  t.same(Object.fromEntries(unpack(dialect, bytes).fields), { '11': '000001', '130': 'x' })
})

t.test('layouts: a missing field, one too many and an unknown type are refused on both ways', async (t) => {
  const whole = message('0200', { ...SALE, '64': new Uint8Array(8) })
  const { '25': _, ...without } = SALE
  t.throws(() => pack(POSTERN_DEV, message('0200', { ...without, '64': new Uint8Array(8) })), refusedAt('25'))
  t.throws(() => pack(POSTERN_DEV, message('0200', SALE)), refusedAt('64'), 'no MAC')
  t.throws(
    () => pack(POSTERN_DEV, message('0200', { ...SALE, '64': new Uint8Array(8), '39': '00' })),
    refusedAt('39'),
  )
  t.throws(() => pack(POSTERN_DEV, { ...whole, mti: '0600' }), refusedAt('mti'))
  const bytes = pack(POSTERN_DEV, whole)
  bytes[1] = 0x10
  t.throws(
    () => unpack(POSTERN_DEV, bytes),
    refusedAt('37'),
    'a sale read as its answer lacks what an answer has',
  )
})

t.test('no dialect row lets a card number or a track through in clear', async (t) => {
  for (const number of [2, 14, 34, 35, 36, 45]) t.equal(POSTERN_DEV.fields[number], undefined, `DE${number}`)
})

t.test('faults name the field and never its content', async (t) => {
  const cases: [string, Record<string, string | Uint8Array>][] = [
    ['3', { '3': '1234567' }],
    ['3', { '3': '12345A' }],
    ['2', { '2': '4'.repeat(20) }],
    ['28', { '28': '000000001' }],
    ['41', { '41': 'short\n' }],
    ['52', { '52': 'text' }],
    ['52', { '52': new Uint8Array(7) }],
    ['11', { '11': fromHex('00') }],
    ['129', { '129': 'x' }],
    ['1', { '1': 'x' }],
    ['zz', { zz: 'x' }],
  ]
  for (const [path, fields] of cases) {
    t.throws(() => pack(ISO87_ASCII, message('0200', fields)), refusedAt(path), `DE${path}`)
    try {
      pack(ISO87_ASCII, message('0200', fields))
    } catch (error) {
      t.ok(error instanceof PosternError && !error.message.includes('4444'), 'no content in the message')
    }
  }
  t.throws(() => pack(ISO87_ASCII, message('02x0', {})), refusedAt('mti'))
})

t.test('cut, extended and nonsensical input is refused with the place', async (t) => {
  const bytes = pack(ISO87_BINARY, message('0200', { '2': '4000000000000002', '55': fromHex('9F2600') }))
  for (let length = 0; length < bytes.length; length++)
    t.throws(() => unpack(ISO87_BINARY, bytes.subarray(0, length)), { code: 'ISO8583_INVALID' })
  t.throws(() => unpack(ISO87_BINARY, concat(bytes, fromHex('00'))), refusedAt('end'))
  t.throws(() => unpack(ISO87_BINARY, fromHex('0200400000000000000020')), refusedAt('2'), 'longer than n..19')
  t.throws(
    () => unpack(ISO87_BINARY, fromHex('02004000000000000000AA')),
    refusedAt('2'),
    'length not decimal',
  )
  t.throws(() => unpack(ISO87_BINARY, fromHex('0200200000000000000012345F')), refusedAt('3'), 'digit above 9')
  t.throws(() => unpack(ISO87_BINARY, fromHex('020000000400000000001051')), refusedAt('22'), 'idle half byte')
  t.throws(() => unpack(ISO87_BINARY, new Uint8Array(9000)), refusedAt('mti'), 'too long altogether')
})

t.test('the description shows no card number, PIN block or card data', async (t) => {
  const text = describeMessage(
    ISO87_BINARY,
    message('0200', {
      '2': '4000000000000002',
      '4': '000000001250',
      '35': '4000000000000002D3012',
      '52': fromHex('0123456789ABCDEF'),
      '62': 'note 4000000000000002',
    }),
  ).join('\n')
  t.equal(
    text,
    [
      '0200',
      'DE2 Primary account number: 400000******0002',
      'DE4 Amount, transaction: 000000001250',
      'DE35 Track 2 data: (21 hidden)',
      'DE52 Personal identification number data: (8 hidden)',
      'DE62 Reserved, private: note 400000******0002',
    ].join('\n'),
  )
})

t.test('frames: cut anywhere, several at once, out of bounds', async (t) => {
  const tpdu = { destination: 12, source: 3456 }
  const bytes = frame(tpdu, fromHex('0800'))
  t.equal(toHex(bytes), '0007600012345608' + '00')
  const reader = new Deframer()
  const frames = []
  for (const byte of concat(bytes, bytes)) frames.push(...reader.push(Uint8Array.of(byte)))
  t.same(frames, [
    { tpdu, message: fromHex('0800') },
    { tpdu, message: fromHex('0800') },
  ])
  t.equal(reader.pending, 0)
  t.same(new Deframer().push(concat(bytes, bytes)).length, 2)
  t.throws(() => new Deframer(100).push(fromHex('0100')), { code: 'FRAME_INVALID' })
  t.throws(() => new Deframer().push(fromHex('0005')), { code: 'FRAME_INVALID' }, 'no room for a message')
  t.throws(() => new Deframer().push(fromHex('00066100123456FF')), { code: 'FRAME_INVALID' }, 'no TPDU')
  t.throws(() => new Deframer().push(fromHex('000660001A3456FF')), { code: 'FRAME_INVALID' }, 'address')
})

t.test('the MAC is the last eight bytes, in 64 or 128, over everything before it', async (t) => {
  let covered = new Uint8Array(0)
  const mac = async (bytes: Uint8Array) => {
    covered = bytes.slice()
    return fromHex('A1A2A3A4A5A6A7A8')
  }
  const sale = await packWithMac(POSTERN_DEV, message('0200', SALE), mac)
  t.same(unpack(POSTERN_DEV, sale).fields.get('64'), fromHex('A1A2A3A4A5A6A7A8'))
  t.same(splitMac(POSTERN_DEV, sale), { covered, mac: fromHex('A1A2A3A4A5A6A7A8') })
  const echo = await packWithMac(
    POSTERN_DEV,
    message('0800', {
      '7': '1122054501',
      '11': '1',
      '24': '1',
      '41': 'T0000001',
      '42': 'M',
      '53': fromHex('DF0400'),
      '70': '301',
    }),
    mac,
  )
  t.same(unpack(POSTERN_DEV, echo).fields.get('128'), fromHex('A1A2A3A4A5A6A7A8'))
  await t.rejects(
    packWithMac(POSTERN_DEV, message('0200', SALE), async () => new Uint8Array(16)),
    { code: 'ISO8583_INVALID' },
  )
})

t.test('security fields and the original of a reversal', async (t) => {
  const data = { ksn: new Uint8Array(12).fill(1), bytes: new Uint8Array(32).fill(2) }
  t.same(decodeCardData(encodeCardData(data)), data)
  const control = { macKsn: new Uint8Array(12).fill(3), pinKsn: new Uint8Array(12).fill(4) }
  t.same(decodeSecurityControl(encodeSecurityControl(control)), control)
  t.same(decodeSecurityControl(encodeSecurityControl({ macKsn: control.macKsn })), { macKsn: control.macKsn })
  t.throws(() => decodeCardData(fromHex('DF0100')), refusedAt('48'))
  t.throws(() => decodeCardData(fromHex('DF01')), refusedAt('48'))
  t.throws(() => decodeSecurityControl(fromHex('')), refusedAt('53'))
})
