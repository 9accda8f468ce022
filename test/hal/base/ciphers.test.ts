// Cipher primitives against published values: SP 800-38B and RFC 4493 for CMAC, SP 800-38A for the modes, FIPS for hashes.
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { ascii, fromHex, toHex } from '../../../hal/base/bytes.js'
import * as ciphers from '../../../hal/base/ciphers.js'

const AES128 = fromHex('2b7e151628aed2a6abf7158809cf4f3c')
const SP800_TEXT = fromHex(
  '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
)

t.test('AES modes give the values of SP 800-38A', async (t) => {
  const first = SP800_TEXT.subarray(0, 16)
  const iv = fromHex('000102030405060708090a0b0c0d0e0f')
  t.equal(toHex(ciphers.encryptEcb('aes', AES128, first)), '3AD77BB40D7A3660A89ECAF32466EF97')
  t.equal(toHex(ciphers.encryptCbc('aes', AES128, iv, first)), '7649ABAC8119B246CEE98E9B12E9197D')
  t.same(ciphers.decryptEcb('aes', AES128, ciphers.encryptEcb('aes', AES128, SP800_TEXT)), SP800_TEXT)
  t.same(ciphers.decryptCbc('aes', AES128, iv, ciphers.encryptCbc('aes', AES128, iv, SP800_TEXT)), SP800_TEXT)
})

t.test('CMAC gives the values of RFC 4493 and SP 800-38B for every length of tail', async (t) => {
  const rows = [
    [0, 'BB1D6929E95937287FA37D129B756746'],
    [16, '070A16B46B4D4144F79BDD9DD04A287C'],
    [40, 'DFA66747DE9AE63030CA32611497C827'],
    [64, '51F0BEBF7E3B9D92FC49741779363CFE'],
  ] as const
  for (const [length, mac] of rows)
    t.equal(toHex(ciphers.cmac('aes', AES128, SP800_TEXT.subarray(0, length))), mac)
  const tdes = fromHex('8aa83bf8cbda10620bc1bf19fbb6cd58bc313d4a371ca8b5')
  t.equal(toHex(ciphers.cmac('tdes', tdes, new Uint8Array(0))), 'B7A688E122FFAF95')
  t.equal(toHex(ciphers.cmac('tdes', tdes, SP800_TEXT.subarray(0, 8))), '8E8F293136283797')
})

t.test('TDES takes one, two and three keys, and its check value is the zero block', async (t) => {
  const zero = new Uint8Array(8)
  t.equal(toHex(ciphers.encryptEcb('tdes', fromHex('0123456789ABCDEF'), zero)), 'D5D44FF720683D0D')
  t.equal(toHex(ciphers.keyCheckValue('tdes', fromHex('0123456789ABCDEFFEDCBA9876543210'))), '08D7B4')
  t.equal(toHex(ciphers.oddParity(fromHex('00FE0206'))), '01FE0207')
})

t.test('paddings and MACs of ISO/IEC 9797-1', async (t) => {
  t.equal(toHex(ciphers.padMethod1(fromHex('0102'), 4)), '01020000')
  t.equal(toHex(ciphers.padMethod1(fromHex('01020304'), 4)), '01020304')
  t.equal(toHex(ciphers.padMethod2(fromHex('01020304'), 4)), '0102030480000000')
  t.equal(toHex(ciphers.padMethod3(fromHex('0102'), 4)), '0000001001020000')
  t.same(ciphers.unpadMethod2(ciphers.padMethod2(fromHex('010200'), 8)), fromHex('010200'))
  t.throws(() => ciphers.unpadMethod2(fromHex('010000')), { code: 'CIPHER_INVALID' })
  // ISO/IEC 9797-1, annex A: data string 1, padding 1, keys 0123456789ABCDEF and FEDCBA9876543210.
  const text = ascii.encode('Now is the time for all ')
  t.equal(toHex(ciphers.cbcMac('tdes', fromHex('0123456789ABCDEF'), text, 1)), '70A30640CC76DD8B')
  t.equal(toHex(ciphers.retailMac(fromHex('0123456789ABCDEFFEDCBA9876543210'), text, 1)), 'A1C72E74EA3FA9B6')
})

t.test('raw RSA recovers what it signed, in the modulus length', async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 })
  const n = new Uint8Array(Buffer.from(publicKey.export({ format: 'jwk' }).n!, 'base64url'))
  const data = new Uint8Array(128).fill(0x6a, 1)
  const signed = ciphers.rsaPrivate(privateKey, data)
  t.equal(signed.length, 128)
  t.same(ciphers.rsaPublic(n, fromHex('03'), signed), data)
  t.throws(() => ciphers.rsaPublic(n, fromHex('03'), signed.subarray(1)), { code: 'CIPHER_INVALID' })
  t.throws(() => ciphers.rsaPublic(n, fromHex('03'), new Uint8Array(128).fill(0xff)), {
    code: 'CIPHER_INVALID',
  })
  t.throws(() => ciphers.rsaPrivate(privateKey, new Uint8Array(128).fill(0xff)), { code: 'CIPHER_INVALID' })
})

t.test('wrong lengths are refused with a typed error', async (t) => {
  const bad = { code: 'CIPHER_INVALID' }
  t.throws(() => ciphers.encryptEcb('aes', AES128, new Uint8Array(15)), bad)
  t.throws(() => ciphers.encryptEcb('aes', AES128, new Uint8Array(0)), bad)
  t.throws(() => ciphers.encryptEcb('aes', new Uint8Array(15), new Uint8Array(16)), bad)
  t.throws(() => ciphers.encryptEcb('tdes', new Uint8Array(15), new Uint8Array(16)), bad)
  t.throws(() => ciphers.encryptCbc('aes', AES128, new Uint8Array(8), new Uint8Array(16)), bad)
  t.throws(() => ciphers.retailMac(new Uint8Array(24), new Uint8Array(8)), bad)
  t.throws(() => ciphers.padMethod2(new Uint8Array(1), 0), bad)
})

t.test('hashes give the values of FIPS 180-4 and RFC 4231', async (t) => {
  t.equal(
    toHex(ciphers.sha1(ascii.encode('a'), ascii.encode('bc'))),
    'A9993E364706816ABA3E25717850C26C9CD0D89D',
  )
  t.equal(
    toHex(ciphers.sha256(ascii.encode('abc'))),
    'BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD',
  )
  t.equal(
    toHex(ciphers.hmacSha256(ascii.encode('Jefe'), ascii.encode('what do ya want for nothing?'))),
    '5BDCC146BF60754E6A042426089575C75A003F089D2739839DEC58B964EC3843',
  )
})
