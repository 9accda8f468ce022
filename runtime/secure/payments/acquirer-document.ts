// The acquirers document: where the host is, whom to trust, who we are to it, and how long to wait.
import { X509Certificate } from 'node:crypto'
import { type Static, Type } from 'typebox'
import { CURRENCIES } from '../../../hal/base/money.js'
import type { KeyProfile } from '../keys/working-keys.js'
import { checkDocument, type DocumentFault } from './documents.js'
import { OfflineLimits } from './offline-limits.js'

const closed = { additionalProperties: false } as const
const Pem = Type.String({ maxLength: 16_384, pattern: '^-----BEGIN CERTIFICATE-----' })
const TpduAddress = Type.Integer({ minimum: 0, maximum: 9999 })

/** The key set in the terminal's store is named by `set`: `acquirer` unless told. */
const KeySet = Type.Optional(Type.String({ pattern: '^[a-z0-9-]{1,32}$' }))
const KeysEntry = Type.Union([
  Type.Object({ set: KeySet, scheme: Type.Literal('aes') }, closed),
  Type.Object(
    {
      set: KeySet,
      scheme: Type.Literal('tdes'),
      /** ISO 9564-1 format under TDES: 0 or 3. */
      pinBlock: Type.Enum([0, 3]),
      /** ANSI X9.19, or SP 800-38B over TDES. */
      mac: Type.Enum(['retail', 'cmac']),
    },
    closed,
  ),
])

/** One acquirer. Time-outs in milliseconds; what is left out has the default beside it. */
export const AcquirerEntry = Type.Object(
  {
    id: Type.String({ pattern: '^[a-z0-9-]{1,32}$' }),
    host: Type.String({ minLength: 1, maxLength: 253 }),
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    tls: Type.Object(
      {
        /** The name that the host's certificate must be made out to. */
        serverName: Type.String({ minLength: 1, maxLength: 253 }),
        /** The only authority that is trusted for this acquirer, PEM. */
        ca: Pem,
        /** Ours, PEM, where the acquirer asks for one; its key never is in a document. */
        clientCertificate: Type.Optional(Pem),
      },
      closed,
    ),
    tpdu: Type.Object({ destination: TpduAddress, source: TpduAddress }, closed),
    /** Network international identifier, DE24. */
    nii: Type.String({ pattern: '^[0-9]{3}$' }),
    /** DE41 and DE42. */
    terminalId: Type.String({ pattern: '^[A-Za-z0-9]{8}$' }),
    merchantId: Type.String({ pattern: '^[A-Za-z0-9]{1,15}$' }),
    dialect: Type.Enum(['postern-dev']),
    /** Which DUKPT its keys run and how it wants PIN and messages protected; AES, format 4 and CMAC unless told. */
    keys: Type.Optional(KeysEntry),
    currency: Type.String({ pattern: '^[A-Z]{3}$' }),
    timeouts: Type.Optional(
      Type.Object(
        {
          /** To an authenticated session: 15 s. */
          connectMs: Type.Optional(Type.Integer({ minimum: 100, maximum: 120_000 })),
          /** From the last byte sent to the answer: 45 s. */
          hostMs: Type.Optional(Type.Integer({ minimum: 100, maximum: 120_000 })),
          /** A session is kept this long for late and double answers, and for a reversal: 5 s. */
          lingerMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 60_000 })),
        },
        closed,
      ),
    ),
    /** Approvals without the bank: a payment up to this, in minor units. Absent: none at all. */
    offlineFloorMinor: Type.Optional(Type.String({ pattern: '^(0|[1-9][0-9]{0,11})$' })),
    offlineLimits: Type.Optional(OfflineLimits),
    reversals: Type.Optional(
      Type.Object(
        {
          /**
           * "Original not found" ends a reversal only this long after the original was made, as bytes that are under
           * way may still arrive: 120 s. 0 where the acquirer remembers reversed originals and refuses them later.
           */
          notFoundFinalAfterMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400_000 })),
        },
        closed,
      ),
    ),
  },
  closed,
)
export type AcquirerEntry = Static<typeof AcquirerEntry>

/** NOTE: exactly one, as this document has no routing rules to choose among several by. */
export const AcquirersDocument = Type.Object(
  { acquirers: Type.Array(AcquirerEntry, { minItems: 1, maxItems: 1 }) },
  closed,
)
export type AcquirersDocument = Static<typeof AcquirersDocument>

/** What an acquirer's keys are used for and how. */
export function keyProfile({ keys }: AcquirerEntry): KeyProfile {
  return keys?.scheme === 'tdes'
    ? { scheme: 'tdes', pinBlock: keys.pinBlock, mac: keys.mac }
    : { scheme: 'aes', pinBlock: 4, mac: 'cmac' }
}

const isCertificate = (pem: string): boolean => {
  try {
    return new X509Certificate(pem).subject !== undefined
  } catch {
    return false
  }
}

/** Checks an acquirers document. @throws PosternError `DOCUMENT_INVALID` naming the key and what is allowed */
export function readAcquirersDocument(value: unknown): AcquirersDocument {
  return checkDocument('acquirers', AcquirersDocument, value, ({ acquirers }): DocumentFault | undefined => {
    for (const [i, { currency, tls }] of acquirers.entries()) {
      if (!Object.hasOwn(CURRENCIES, currency))
        return {
          path: `/acquirers/${i}/currency`,
          problem: `is none of ${Object.keys(CURRENCIES).join(', ')}`,
        }
      for (const key of ['ca', 'clientCertificate'] as const) {
        const pem = tls[key]
        if (pem !== undefined && !isCertificate(pem))
          return { path: `/acquirers/${i}/tls/${key}`, problem: 'must be an X.509 certificate in PEM' }
      }
    }
    return undefined
  })
}
