// The EMV configuration document: terminal data, applications, CA keys (EMV Book 4 v4.4, 10.2 and annex A; Book 2, 11). Hex throughout.
import { type Static, Type } from 'typebox'
import { equalBytes, fromHex, toHex } from '../../../hal/base/bytes.js'
import { sha1 } from '../../../hal/base/ciphers.js'
import { PosternError } from '../../../hal/base/errors.js'
import { CURRENCIES } from '../../../hal/base/money.js'
import { checker } from '../../api/contract.js'
import { type CaKey, caKeyChecksum, type EccCaKey, type RsaCaKey } from './ca-keys.js'
import { dateNumber } from './dates.js'
import { parseDol } from './dol.js'
import { readCaCertificate } from './ecc-certificates.js'
import { type StripeConfiguration, StripeDocument, stripeConfiguration } from './stripe-configuration.js'

const closed = { additionalProperties: false } as const
/** Upper-case hex of exactly or between so many bytes. */
const Hex = (min: number, max = min) =>
  Type.String({ pattern: `^([0-9A-F]{2}){${min}${min === max ? '' : `,${max}`}}$` })

const TerminalData = Type.Object(
  {
    /** 9F1A, ISO 3166 numeric: `0276`. */
    countryCode: Type.String({ pattern: '^0[0-9]{3}$' }),
    /** The currency that floor limits and thresholds are in, ISO 4217 alphabetic. */
    currency: Type.String({ pattern: '^[A-Z]{3}$' }),
    /** 9F35 (Book 4, annex A1): `22` is attended, offline with online capability, operated by a merchant. */
    type: Type.String({ pattern: '^[123][1-6]$' }),
    /** 9F33 (Book 4, annex A2). */
    capabilities: Hex(3),
    /** 9F40 (Book 4, annex A3). */
    additionalCapabilities: Hex(5),
    /** 9F01, n6 to n11 digits. */
    acquirerId: Type.Optional(Type.String({ pattern: '^[0-9]{6,11}$' })),
    /** 9F15. */
    merchantCategoryCode: Type.Optional(Type.String({ pattern: '^[0-9]{4}$' })),
    /** 9F16, 15 characters. */
    merchantId: Type.Optional(Type.String({ minLength: 1, maxLength: 15 })),
    /** 9F1C, 8 characters. */
    terminalId: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9]{8}$' })),
    /** 9F4E. */
    merchantName: Type.Optional(Type.String({ maxLength: 100 })),
    /** 9F1E, 8 characters. */
    ifdSerial: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9]{8}$' })),
    /** The merchant may let a cardholder pass over PIN entry (Book 4, 6.3.4.3). */
    pinBypass: Type.Boolean(),
  },
  closed,
)

const Application = Type.Object(
  {
    aid: Hex(5, 16),
    /** Also accept longer ADF names that begin with the AID (Book 1, 12.3.1). */
    partialSelection: Type.Boolean(),
    /** 9F09. */
    version: Hex(2),
    /** Terminal action codes (Book 3, 10.7), 5 bytes each. */
    tacDenial: Hex(5),
    tacOnline: Hex(5),
    tacDefault: Hex(5),
    /** 9F1B in minor units; amounts from here on go online. `0` sends everything online. */
    floorLimit: Type.String({ pattern: '^(0|[1-9][0-9]{0,8})$' }),
    /** Random transaction selection (Book 3, 10.6.2); absent: none. */
    randomSelection: Type.Optional(
      Type.Object(
        {
          targetPercent: Type.Integer({ minimum: 0, maximum: 99 }),
          maximumTargetPercent: Type.Integer({ minimum: 0, maximum: 99 }),
          threshold: Type.String({ pattern: '^(0|[1-9][0-9]{0,8})$' }),
        },
        closed,
      ),
    ),
    /** Default DDOL (Book 2, 6.5.1); must hold 9F37. */
    ddol: Type.Optional(Hex(2, 252)),
    /** Default TDOL (Book 3, 9.2.2). */
    tdol: Type.Optional(Hex(2, 252)),
    /** 9F1D. */
    riskManagementData: Type.Optional(Hex(1, 8)),
    /** How a refund goes on after the card was read: `online` as any payment (default), or `endWithAac`. */
    refund: Type.Optional(Type.Enum(['online', 'endWithAac'])),
    /** CDA with the ARQC and the final TC (1, the default), with the ARQC (2), with neither (3), with the TC (4). */
    cdaMode: Type.Optional(Type.Integer({ minimum: 1, maximum: 4 })),
  },
  closed,
)

const CaPublicKey = Type.Object(
  {
    rid: Hex(5),
    index: Hex(1),
    modulus: Hex(64, 248),
    /** Book 2, B2.1 allows these two. */
    exponent: Type.String({ pattern: '^(03|010001)$' }),
    /** SHA-1 over RID, index, modulus, exponent (Book 2, table 30): a key without the right one is refused. */
    sha1: Hex(20),
    /** YYMMDD; absent: no end. */
    expires: Type.Optional(Type.String({ pattern: '^[0-9]{6}$' })),
  },
  closed,
)

const EccCaPublicKey = Type.Object(
  {
    rid: Hex(5),
    index: Hex(1),
    /** Self-signed (Book 2, table 29): RID, index, algorithm suite, x-coordinate, EC-SDSA signature over all of them. */
    certificate: Hex(105, 205),
    /** YYMMDD; absent: no end. */
    expires: Type.Optional(Type.String({ pattern: '^[0-9]{6}$' })),
  },
  closed,
)

const RevokedCertificate = Type.Object({ rid: Hex(5), index: Hex(1), serial: Hex(3) }, closed)

/** The document as it is signed and pushed; `emvConfiguration` makes the kernel's form of it. */
export const EmvDocument = Type.Object(
  {
    terminal: TerminalData,
    applications: Type.Array(Application, { minItems: 1, maxItems: 64 }),
    caKeys: Type.Array(CaPublicKey, { maxItems: 200 }),
    stripe: Type.Optional(StripeDocument),
    /** For XDA and PINs enciphered with ECC; an index is never both here and above (Book 2, 11.2.2). */
    eccCaKeys: Type.Optional(Type.Array(EccCaPublicKey, { maxItems: 200 })),
    /** Issuer certificate revocation list (Book 2, 5.1.2). */
    revokedCertificates: Type.Optional(Type.Array(RevokedCertificate, { maxItems: 1000 })),
  },
  closed,
)
export type EmvDocument = Static<typeof EmvDocument>

/** One application that the terminal accepts. */
export interface ApplicationConfiguration {
  readonly aid: Uint8Array
  readonly partialSelection: boolean
  readonly version: Uint8Array
  readonly tac: { readonly denial: Uint8Array; readonly online: Uint8Array; readonly default: Uint8Array }
  readonly floorLimit: bigint
  readonly randomSelection:
    | {
        readonly targetPercent: number
        readonly maximumTargetPercent: number
        readonly threshold: bigint
      }
    | undefined
  readonly ddol: Uint8Array | undefined
  readonly tdol: Uint8Array | undefined
  readonly riskManagementData: Uint8Array | undefined
  /** A refund asks the card for an AAC once it was read, and the host alone decides (refund-reading.ts). */
  readonly refundEndsWithAac?: boolean
  /** Absent: 1. */
  readonly cdaMode?: CdaMode | undefined
}

/**
 * The two choices that Book 2, 6.6 leaves to the terminal: CDA with an ARQC, and CDA with the final TC after an online
 * approval. Numbered as in Book 2, D4, table 51: 1 both, 2 the ARQC alone, 3 neither, 4 the final TC alone.
 */
export type CdaMode = 1 | 2 | 3 | 4

/** Terminal data in the forms that data objects have. */
export interface TerminalConfiguration {
  readonly countryCode: Uint8Array
  readonly currency: string
  readonly type: number
  readonly capabilities: Uint8Array
  readonly additionalCapabilities: Uint8Array
  readonly acquirerId: Uint8Array | undefined
  readonly merchantCategoryCode: Uint8Array | undefined
  readonly merchantId: string | undefined
  readonly terminalId: string | undefined
  readonly merchantName: string | undefined
  readonly ifdSerial: string | undefined
  readonly pinBypass: boolean
}

/** What the kernel works with: checked, in bytes. */
export interface EmvConfiguration {
  readonly terminal: TerminalConfiguration
  readonly applications: readonly ApplicationConfiguration[]
  /** Undefined: no stripe is read. */
  readonly stripe?: StripeConfiguration | undefined
  readonly caKeys: readonly CaKey[]
  /** RID, index and serial of revoked issuer certificates, joined in hex. */
  readonly revoked: ReadonlySet<string>
}

const isDocument = checker(EmvDocument)

function refuse(where: string, key: string, rule: string): never {
  throw new PosternError('EMV_CONFIGURATION_INVALID', `EMV configuration: ${where}, ${key}: ${rule}`, {
    where,
    key,
    rule,
  })
}

/**
 * Checks a document and turns it into bytes.
 * @throws PosternError `EMV_CONFIGURATION_INVALID`; its details `where` (terminal, AID or RID and index), `key`, `rule`
 */
export function emvConfiguration(document: unknown): EmvConfiguration {
  const fault = isDocument(document)
  if (fault !== undefined) refuse(...whereIs(document, fault))
  const checked = document as EmvDocument
  if (!Object.hasOwn(CURRENCIES, checked.terminal.currency))
    refuse('terminal', 'currency', `is not one of ${Object.keys(CURRENCIES).join(', ')}`)
  const seen = new Set<string>()
  for (const { aid } of checked.applications) {
    if (seen.has(aid)) refuse(`AID ${aid}`, 'aid', 'stands twice')
    seen.add(aid)
  }
  const terminal = terminalOf(checked.terminal)
  return {
    terminal,
    stripe: stripeConfiguration(checked.stripe, terminal.capabilities, refuse),
    applications: checked.applications.map(applicationOf),
    caKeys: caKeysOf(checked),
    revoked: new Set(
      (checked.revokedCertificates ?? []).map(({ rid, index, serial }) => rid + index + serial),
    ),
  }
}

function terminalOf(terminal: EmvDocument['terminal']): TerminalConfiguration {
  const digits = (text: string | undefined, bytes: number) =>
    text === undefined ? undefined : fromHex(text.padStart(bytes * 2, '0'))
  return {
    countryCode: fromHex(terminal.countryCode),
    currency: terminal.currency,
    type: Number.parseInt(terminal.type, 16),
    capabilities: fromHex(terminal.capabilities),
    additionalCapabilities: fromHex(terminal.additionalCapabilities),
    acquirerId: digits(terminal.acquirerId, 6),
    merchantCategoryCode: digits(terminal.merchantCategoryCode, 2),
    merchantId: terminal.merchantId,
    terminalId: terminal.terminalId,
    merchantName: terminal.merchantName,
    ifdSerial: terminal.ifdSerial,
    pinBypass: terminal.pinBypass,
  }
}

function applicationOf(row: EmvDocument['applications'][number]): ApplicationConfiguration {
  const where = `AID ${row.aid}`
  const list = (key: 'ddol' | 'tdol'): Uint8Array | undefined => {
    const hex = row[key]
    if (hex === undefined) return undefined
    const bytes = fromHex(hex)
    try {
      parseDol(bytes)
    } catch {
      refuse(where, key, 'is not a data object list')
    }
    return bytes
  }
  const ddol = list('ddol')
  if (ddol && !parseDol(ddol).some((entry) => entry.tag === 0x9f37))
    refuse(where, 'ddol', 'must hold 9F37 (Book 2, 6.5.1)')
  const floorLimit = BigInt(row.floorLimit)
  const random = row.randomSelection
  if (random) {
    if (random.maximumTargetPercent < random.targetPercent)
      refuse(where, 'randomSelection.maximumTargetPercent', 'is below targetPercent (Book 3, 10.6.2)')
    if (BigInt(random.threshold) > floorLimit)
      refuse(where, 'randomSelection.threshold', 'is above floorLimit (Book 3, 10.6.2)')
  }
  return {
    aid: fromHex(row.aid),
    partialSelection: row.partialSelection,
    version: fromHex(row.version),
    tac: {
      denial: fromHex(row.tacDenial),
      online: fromHex(row.tacOnline),
      default: fromHex(row.tacDefault),
    },
    floorLimit,
    randomSelection: random && { ...random, threshold: BigInt(random.threshold) },
    ddol,
    tdol: list('tdol'),
    riskManagementData: row.riskManagementData === undefined ? undefined : fromHex(row.riskManagementData),
    refundEndsWithAac: row.refund === 'endWithAac',
    cdaMode: row.cdaMode as CdaMode | undefined,
  }
}

function caKeysOf({ caKeys, eccCaKeys = [] }: Pick<EmvDocument, 'caKeys' | 'eccCaKeys'>): CaKey[] {
  const keys = new Map<string, CaKey>()
  const add = (where: string, row: { rid: string; index: string; expires?: string }, key: CaKey) => {
    if (row.expires !== undefined && dateNumber(fromHex(row.expires)) === undefined)
      refuse(where, 'expires', 'is no date YYMMDD')
    const id = row.rid + row.index
    if (keys.has(id)) refuse(where, 'index', 'stands twice: two keys under one index are never merged')
    keys.set(id, key)
  }
  for (const row of caKeys) {
    const where = `CA key ${row.rid} ${row.index}`
    add(where, row, rsaCaKey(where, row))
  }
  for (const row of eccCaKeys) {
    const where = `CA key ${row.rid} ${row.index}`
    add(where, row, eccCaKey(where, row))
  }
  return [...keys.values()]
}

const expiryOf = ({ expires }: { expires?: string }) => (expires === undefined ? undefined : fromHex(expires))

function rsaCaKey(where: string, row: EmvDocument['caKeys'][number]): RsaCaKey {
  const key = {
    rid: fromHex(row.rid),
    index: Number.parseInt(row.index, 16),
    modulus: fromHex(row.modulus),
    exponent: fromHex(row.exponent),
    expires: expiryOf(row),
  }
  if ((key.modulus.at(-1)! & 1) === 0 || key.modulus[0] === 0)
    refuse(where, 'modulus', 'must be odd and not begin with 00')
  if (!equalBytes(sha1(...caKeyChecksum(key)), fromHex(row.sha1)))
    refuse(where, 'sha1', 'is not the checksum of RID, index, modulus and exponent (Book 2, table 30)')
  return key
}

function eccCaKey(where: string, row: NonNullable<EmvDocument['eccCaKeys']>[number]): EccCaKey {
  const key = readCaCertificate(fromHex(row.certificate))
  if (typeof key === 'string') refuse(where, 'certificate', `${key} does not hold (Book 2, table 29)`)
  if (toHex(key.rid) !== row.rid || key.index !== Number.parseInt(row.index, 16))
    refuse(where, 'certificate', 'is of another RID or index (Book 2, table 29)')
  return { ...key, expires: expiryOf(row) }
}

/** Turns a schema fault's path into what a person can find: the AID, or RID and index. */
function whereIs(document: unknown, fault: string): [where: string, key: string, rule: string] {
  const [path = '', ...rule] = fault.split(': ')
  const match = /^\/?(applications|caKeys|eccCaKeys|revokedCertificates)\/(\d+)\/?(.*)$/.exec(
    path.replaceAll('.', '/'),
  )
  if (!match) return [path === '/' ? 'document' : path, '', rule.join(': ')]
  const row = (document as Record<string, Record<string, unknown>[]>)[match[1]!]?.[Number(match[2])] ?? {}
  const name = (key: string) =>
    typeof row[key] === 'string' ? row[key].replace(/[^0-9A-Za-z]/g, '').slice(0, 32) : '?'
  const where = match[1] === 'applications' ? `AID ${name('aid')}` : `CA key ${name('rid')} ${name('index')}`
  return [where, match[3]!.replaceAll('/', '.'), rule.join(': ')]
}

/** Hex of RID, index and certificate serial, as `EmvConfiguration.revoked` holds them. */
export function revocationEntry(rid: Uint8Array, index: number, serial: Uint8Array): string {
  return toHex(rid) + toHex(Uint8Array.of(index)) + toHex(serial)
}
