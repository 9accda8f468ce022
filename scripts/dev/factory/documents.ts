// The development terminal's documents: merchant, operators, EMV tables; signed as a key room would sign them.
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemRandom } from '../../../hal/base/clock.js'
import { type DocumentType, signedBytes } from '../../../runtime/secure/documents.js'
import type { EmvDocument } from '../../../runtime/secure/emv/configuration.js'
import { hashCode } from '../../../runtime/secure/operator-codes.js'
import type { OperatorsDocument } from '../../../runtime/secure/operators-document.js'
import type { MerchantDocument } from '../../../runtime/secure/payments/merchant-document.js'
import type { CaPublicKey, EccCaPublicKey } from '../issuer/issuer-keys.js'
import { SCHEME_AIDS, TEST_IIN } from '../issuer/scheme.js'

export const TERMINAL_ID = 'PD000001'
export const MERCHANT_ID = 'POSTERNDEV00001'

export const MERCHANT: MerchantDocument = {
  name: 'Parcel House',
  address: ['Hafenstraße 12', '20457 Hamburg'],
  currency: 'EUR',
  country: '276',
  locale: 'en',
  categoryCode: '4215',
}

/** Who works here. The codes are for development and stand in the README. */
export const PEOPLE = [
  { id: '1001', name: 'Mia Weber', role: 'courier', locale: 'en', code: '1111' },
  { id: '1002', name: '王伟', role: 'courier', locale: 'zh', code: '2222' },
  { id: '9001', name: 'Tom Berger', role: 'supervisor', locale: 'en', code: '9999' },
] as const

export async function operators(): Promise<OperatorsDocument> {
  const entries = PEOPLE.map(async ({ code, ...person }) => ({
    ...person,
    code: await hashCode(Buffer.from(code, 'latin1'), systemRandom(16)),
  }))
  return { operators: await Promise.all(entries) }
}

/**
 * EMV tables for the test scheme: an attended terminal, offline with online capability, with every contact CVM; all
 * payments go online (floor limit 0).
 */
export function emvTables(keys: {
  readonly caPublicKeys: readonly CaPublicKey[]
  readonly eccCaPublicKeys: readonly EccCaPublicKey[]
}): EmvDocument {
  const application = (aid: string): EmvDocument['applications'][number] => ({
    aid,
    partialSelection: true,
    version: '008C',
    tacDenial: '0010000000', // service not allowed for card product
    tacOnline: 'DE48FC9906', // ODA failed or not done, expired, PIN trouble, floor limit, random selection
    tacDefault: 'DC48FC1906',
    floorLimit: '0',
    ddol: '9F3704',
    tdol: '9F02065F2A029A039C0195059F3704',
  })
  return {
    terminal: {
      countryCode: `0${MERCHANT.country}`,
      currency: MERCHANT.currency,
      type: '22',
      capabilities: 'E0F9CC', // keypad, stripe, chip; plain, online, enciphered PIN, signature, no CVM; SDA, DDA, CDA, XDA
      additionalCapabilities: '6000F0A001',
      merchantCategoryCode: MERCHANT.categoryCode,
      merchantId: MERCHANT_ID,
      terminalId: TERMINAL_ID,
      merchantName: MERCHANT.name,
      ifdSerial: 'PSTN0001',
      pinBypass: false,
    },
    applications: Object.values(SCHEME_AIDS).map(application),
    stripe: {
      withoutChip: true,
      fallback: true,
      failedChipReads: 3,
      issuers: [
        { iin: TEST_IIN, label: 'POSTERN' },
        // The deck's card `stripe-not-allowed`.
        { iin: `${TEST_IIN}10`, label: 'POSTERN', fallback: false },
      ],
    },
    caKeys: keys.caPublicKeys.map(({ rid, index, modulus, exponent, checksum, expiry }) => ({
      rid,
      index,
      modulus,
      exponent: exponent === '010001' ? '010001' : '03',
      sha1: checksum,
      expires: expiry.slice(2),
    })),
    eccCaKeys: keys.eccCaPublicKeys.map(({ rid, index, certificate, expiry }) => ({
      rid,
      index,
      certificate,
      expires: expiry.slice(2),
    })),
  }
}

/** The key that signs this terminal's documents, made once in `folder`; its public half goes to the secure world. */
export function documentSigner(folder: string): {
  readonly publicPem: string
  write(secureDir: string, type: DocumentType, version: number, body: unknown): void
} {
  const path = join(folder, 'document-signer.pem')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (!existsSync(path)) {
    const pair = generateKeyPairSync('ed25519', {
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    })
    writeFileSync(path, pair.privateKey, { mode: 0o600 })
    writeFileSync(join(folder, 'document-signer.pub'), pair.publicKey)
  }
  const key: KeyObject = createPrivateKey(readFileSync(path))
  return {
    publicPem: readFileSync(join(folder, 'document-signer.pub'), 'utf8'),
    write(secureDir, type, version, body) {
      const text = JSON.stringify(body)
      const signature = sign(null, signedBytes({ type, version, body: text }), key).toString('base64')
      mkdirSync(join(secureDir, 'documents'), { recursive: true, mode: 0o700 })
      writeFileSync(
        join(secureDir, 'documents', `${type}.json`),
        JSON.stringify({ type, version, body: text, signature }),
      )
    },
  }
}

/** Hex of random bytes, as test keys are kept. */
export const randomHex = (bytes: number) => Buffer.from(systemRandom(bytes)).toString('hex').toUpperCase()
