// The test scheme's keys on disk: CA, issuer, cards; made at first use, the same for every process that shares the folder.
import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fromHex, toHex } from '../../../hal/base/bytes.js'
import { oddParity, sha1 } from '../../../hal/base/ciphers.js'
import { type EcKeyPair, ecFromHex, ecToHex, generateEcKey } from './ec-key.js'
import { caCertificate } from './ecc-certificates.js'
import { generateRsaKey, type RsaKey, rsaFromPem, rsaToPem } from './rsa-key.js'
import { CA_EXPIRY, CA_KEYS, type CaIndex, ECC_CA_KEYS, SCHEME_RID } from './scheme.js'

/** A CA public key as a terminal's configuration lists it (EMV Book 2, 11.2.2); hex. */
export interface CaPublicKey {
  readonly rid: string
  readonly index: string
  readonly modulus: string
  readonly exponent: string
  /** SHA-1 over RID, index, modulus and exponent. */
  readonly checksum: string
  /** YYYYMMDD. */
  readonly expiry: string
}

const SYMMETRIC = ['cryptogram', 'scriptMac', 'scriptCipher', 'pinVerification', 'cardVerification'] as const

/** The issuer's TDES master keys, 16 bytes each. */
export type IssuerMasterKeys = Readonly<Record<(typeof SYMMETRIC)[number], Uint8Array>>

/** An ECC CA key as it is handed to terminals: its self-signed certificate (EMV Book 2, table 29); hex. */
export interface EccCaPublicKey {
  readonly rid: string
  readonly index: string
  readonly certificate: string
  /** YYYYMMDD. */
  readonly expiry: string
}

/** Everything that personalisation and authorisation need. */
export interface IssuerKeys {
  readonly authority: Readonly<Record<CaIndex, RsaKey>>
  readonly issuer: Readonly<Record<CaIndex, RsaKey>>
  readonly master: IssuerMasterKeys
  readonly caPublicKeys: readonly CaPublicKey[]
  readonly eccAuthority: Readonly<Record<CaIndex, EcKeyPair>>
  readonly eccIssuer: Readonly<Record<CaIndex, EcKeyPair>>
  readonly eccCaPublicKeys: readonly EccCaPublicKey[]
  /** The card's own ECC pair for `use`, on the curve of its CA, made at first call. */
  eccCardKey(cardId: string, use: 'general' | 'pin', ca: CaIndex): EcKeyPair
  /** The card's own pair for `use`, made at first call. */
  cardKey(cardId: string, use: 'general' | 'pin'): RsaKey
}

/** Reads a JSON file, or makes it; of two processes that make it at once the first wins and both read its keys. */
function readOrMake<T>(path: string, make: () => T): T {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  writeFileSync(draft, JSON.stringify(make(), null, 1), { mode: 0o600, flush: true })
  try {
    linkSync(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(draft, { force: true })
  }
  return JSON.parse(readFileSync(path, 'utf8')) as T
}

const CA_INDICES = Object.keys(CA_KEYS) as CaIndex[]

function pems(path: string, bits: (index: CaIndex) => number): Record<CaIndex, RsaKey> {
  const file = readOrMake<Record<CaIndex, string>>(path, () => ({
    '01': rsaToPem(generateRsaKey(bits('01'), CA_KEYS['01'].exponent)),
    '02': rsaToPem(generateRsaKey(bits('02'), CA_KEYS['02'].exponent)),
  }))
  return { '01': rsaFromPem(file['01']), '02': rsaFromPem(file['02']) }
}

function eccPairs(path: string): Record<CaIndex, EcKeyPair> {
  const curve = (index: CaIndex) => ECC_CA_KEYS[index].curve
  const file = readOrMake<Record<CaIndex, string>>(path, () => ({
    '01': ecToHex(generateEcKey(curve('01'))),
    '02': ecToHex(generateEcKey(curve('02'))),
  }))
  return { '01': ecFromHex(curve('01'), file['01']), '02': ecFromHex(curve('02'), file['02']) }
}

function eccCaPublicKey(ca: CaIndex, key: EcKeyPair): EccCaPublicKey {
  const { index } = ECC_CA_KEYS[ca]
  return { rid: SCHEME_RID, index, certificate: toHex(caCertificate(key, index)), expiry: CA_EXPIRY }
}

function caPublicKey(index: CaIndex, key: RsaKey): CaPublicKey {
  const checksum = sha1(fromHex(SCHEME_RID), fromHex(index), key.modulus, key.exponent)
  return {
    rid: SCHEME_RID,
    index,
    modulus: toHex(key.modulus),
    exponent: toHex(key.exponent),
    checksum: toHex(checksum),
    expiry: CA_EXPIRY,
  }
}

/**
 * The keys of a folder: `ca.json`, `issuer.json`, the same with `ecc-` before, `master-keys.json`, `cards/*.json`, and
 * `ca-public-keys.json` and `ecc-ca-public-keys.json` for terminals. Makes what is missing, in about half a second.
 */
export function ensureIssuerKeys(dir: string): IssuerKeys {
  const authority = pems(join(dir, 'ca.json'), (index) => CA_KEYS[index].bits)
  const issuer = pems(join(dir, 'issuer.json'), (index) => CA_KEYS[index].issuerBits)
  const stored = readOrMake<Record<string, string>>(join(dir, 'master-keys.json'), () =>
    Object.fromEntries(SYMMETRIC.map((name) => [name, toHex(oddParity(randomBytes(16)))])),
  )
  const master = Object.fromEntries(
    SYMMETRIC.map((name) => [name, fromHex(stored[name] ?? '')]),
  ) as unknown as IssuerMasterKeys
  const caPublicKeys = CA_INDICES.map((index) => caPublicKey(index, authority[index]))
  writePublic(join(dir, 'ca-public-keys.json'), caPublicKeys)
  const eccAuthority = eccPairs(join(dir, 'ecc-ca.json'))
  const eccIssuer = eccPairs(join(dir, 'ecc-issuer.json'))
  // Made once: an EC-SDSA signature is another one each time.
  const eccCaPublicKeys = readOrMake(join(dir, 'ecc-ca-public-keys.json'), () =>
    CA_INDICES.map((ca) => eccCaPublicKey(ca, eccAuthority[ca])),
  )
  return {
    eccAuthority,
    eccIssuer,
    eccCaPublicKeys,
    eccCardKey: (cardId, use, ca) =>
      ecFromHex(
        ECC_CA_KEYS[ca].curve,
        readOrMake(join(dir, 'cards', `${cardId}.${use}.ecc.json`), () => ({
          secret: ecToHex(generateEcKey(ECC_CA_KEYS[ca].curve)),
        })).secret,
      ),
    authority,
    issuer,
    master,
    caPublicKeys,
    cardKey: (cardId, use) =>
      rsaFromPem(
        readOrMake(join(dir, 'cards', `${cardId}.${use}.json`), () => ({
          pem: rsaToPem(generateRsaKey(1024, use === 'pin' ? 65537 : 3)),
        })).pem,
      ),
  }
}

function writePublic(path: string, value: unknown): void {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  writeFileSync(draft, JSON.stringify(value, null, 1))
  renameSync(draft, path)
}
