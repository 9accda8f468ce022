// The acquirers document: where each host is, whom to trust, who we are to it, how it speaks, what it takes, how long to wait.
import { X509Certificate } from 'node:crypto'
import { type Static, Type } from 'typebox'
import { isPosternError } from '../../../hal/base/errors.js'
import { CURRENCIES } from '../../../hal/base/money.js'
import { ACQUIRER_KEYS } from '../keys/dukpt-terminal-keys.js'
import type { KeyProfile } from '../keys/working-keys.js'
import type { AcquirerCapabilities } from './acquirer-port.js'
import { checkDocument, type DocumentFault } from './documents.js'
import { DIALECT_NAMES, hostDialect } from './iso8583/dialects/host-dialects.js'
import { DEFAULT_FRAMING, type Framing } from './iso8583/framing.js'
import type { HostDialect } from './iso8583/host-message.js'
import { OfflineLimits } from './offline-limits.js'
import { ROADS, type RoadKind } from './roads/road.js'

const HOST_MS = 45_000

const closed = { additionalProperties: false } as const
const Pem = Type.String({ maxLength: 16_384, pattern: '^-----BEGIN CERTIFICATE-----' })
const TpduAddress = Type.Integer({ minimum: 0, maximum: 9999 })
const Minor = Type.String({ pattern: '^(0|[1-9][0-9]{0,11})$' })
const FieldNumbers = Type.Array(Type.Integer({ minimum: 2, maximum: 128 }), { maxItems: 64 })
const may = () => Type.Optional(Type.Boolean())

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

/** What the acquirer takes beside sales; what is left out, it does not. */
const Capabilities = Type.Object(
  {
    refund: may(),
    preauth: may(),
    /** May approve less than was asked for. */
    partial: may(),
    tip: may(),
    cashback: may(),
    manualEntry: may(),
    /** With it the security code of a typed card is asked for; it is never stored. */
    manualCvv2: may(),
    /** Advices of declined cards, where their issuer asks for them. */
    declineAdvices: may(),
    /** Wants the batch where totals differ. */
    upload: may(),
  },
  closed,
)

const ResponseCodes = Type.Optional(
  Type.Array(Type.String({ pattern: '^[0-9A-Z]{2}$' }), { minItems: 1, maxItems: 16 }),
)

/** Network management that the terminal does by itself; what is left out, it does not. */
export const ManagementEntry = Type.Object(
  {
    /** Signs on before the first message after a start. */
    signOn: Type.Optional(
      Type.Object(
        {
          everyHours: Type.Optional(Type.Integer({ minimum: 1, maximum: 8760 })),
          /** Answers that mean "sign on first". */
          codes: ResponseCodes,
        },
        closed,
      ),
    ),
    /** Asks for a new initial key, whatever else is said once few key serial numbers are left, or a supervisor wants one. */
    keyExchange: Type.Optional(
      Type.Object(
        {
          everyDays: Type.Optional(Type.Integer({ minimum: 1, maximum: 3650 })),
          /** Key serial numbers; a payment uses two or three. */
          afterUses: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000 })),
          /** Answers that mean "change the key". */
          codes: ResponseCodes,
        },
        closed,
      ),
    ),
  },
  closed,
)
export type ManagementEntry = Static<typeof ManagementEntry>

/** A patch over the dialect's table: fields by number, in the standard's notation, and what messages carry. */
const DialectPatch = Type.Object(
  {
    fields: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[1-9][0-9]{0,2}$' }),
        Type.Union([
          Type.Null(),
          Type.Object(
            {
              notation: Type.String({ maxLength: 12 }),
              name: Type.String({ minLength: 1, maxLength: 64 }),
            },
            closed,
          ),
        ]),
      ),
    ),
    messages: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[0-9]{4}$' }),
        Type.Object({ must: FieldNumbers, may: FieldNumbers }, closed),
      ),
    ),
    reversals: Type.Optional(Type.Enum(['0400', '0420'])),
  },
  closed,
)

/** One acquirer. Time-outs in milliseconds; what is left out has the default beside it. */
export const AcquirerEntry = Type.Object(
  {
    id: Type.String({ pattern: '^[a-z0-9-]{1,32}$' }),
    /**
     * The ways to it in order of preference; TLS alone unless told. The next is taken only while nothing was sent, and a
     * payment that was sent changes its road only as a reversal.
     */
    roads: Type.Optional(Type.Array(Type.Enum([...ROADS]), { minItems: 1, uniqueItems: true })),
    /** Of the TLS road, which needs the three; a gateway knows its acquirers by `id`. */
    host: Type.Optional(Type.String({ minLength: 1, maxLength: 253 })),
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
    tls: Type.Optional(
      Type.Object(
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
    ),
    tpdu: Type.Object({ destination: TpduAddress, source: TpduAddress }, closed),
    /** Two binary bytes of length and a TPDU. */
    framing: Type.Optional(
      Type.Object({ length: Type.Enum(['binary', 'bcd', 'ascii']), tpdu: Type.Boolean() }, closed),
    ),
    /** Network international identifier, DE24. */
    nii: Type.String({ pattern: '^[0-9]{3}$' }),
    /** DE41 and DE42. */
    terminalId: Type.String({ pattern: '^[A-Za-z0-9]{8}$' }),
    merchantId: Type.String({ pattern: '^[A-Za-z0-9]{1,15}$' }),
    dialect: Type.Enum([...DIALECT_NAMES]),
    dialectPatch: Type.Optional(DialectPatch),
    /** Which DUKPT its keys run and how it wants PIN and messages protected; AES, format 4 and CMAC unless told. */
    keys: Type.Optional(KeysEntry),
    management: Type.Optional(ManagementEntry),
    currency: Type.String({ pattern: '^[A-Z]{3}$' }),
    capabilities: Type.Optional(Capabilities),
    /** Approvals without the bank: a payment up to this, in minor units. Absent: none at all. */
    offlineFloorMinor: Type.Optional(Minor),
    offlineLimits: Type.Optional(OfflineLimits),
    /** Of one payment, minor units. */
    limits: Type.Optional(Type.Object({ least: Type.Optional(Minor), most: Type.Optional(Minor) }, closed)),
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
    reversals: Type.Optional(
      Type.Object(
        {
          /**
           * "Original not found" ends a reversal only this long after the original was made, as bytes that are under
           * way may still arrive: 120 s; of one that went through a gateway, not before it has expired there. 0 where the acquirer remembers reversed originals and refuses them later.
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

/** The first is preferred, where no routing document says otherwise. */
export const AcquirersDocument = Type.Object(
  { acquirers: Type.Array(AcquirerEntry, { minItems: 1, maxItems: 16 }) },
  closed,
)
export type AcquirersDocument = Static<typeof AcquirersDocument>

/** What an acquirer's keys are used for and how. */
export function keyProfile({ keys }: AcquirerEntry): KeyProfile {
  return keys?.scheme === 'tdes'
    ? { scheme: 'tdes', pinBlock: keys.pinBlock, mac: keys.mac }
    : { scheme: 'aes', pinBlock: 4, mac: 'cmac' }
}

/** The name of an acquirer's key set. */
export const keySetOf = ({ keys }: AcquirerEntry): string => keys?.set ?? ACQUIRER_KEYS

/** How this acquirer speaks. @throws PosternError `ISO8583_INVALID` */
export const dialectOf = (entry: AcquirerEntry): HostDialect =>
  hostDialect(entry.dialect, entry.dialectPatch, keyProfile(entry).scheme)

export const roadsOf = ({ roads }: AcquirerEntry): readonly RoadKind[] => roads ?? ['tls']

/** How long an answer is waited for, and how long an envelope lives. */
export const hostMsOf = ({ timeouts }: AcquirerEntry): number => timeouts?.hostMs ?? HOST_MS

export const framingOf = ({ framing }: AcquirerEntry): Framing => framing ?? DEFAULT_FRAMING

export function capabilitiesOf(entry: AcquirerEntry): AcquirerCapabilities {
  const { capabilities, offlineFloorMinor, offlineLimits } = entry
  return {
    refund: false,
    preauth: false,
    partial: false,
    tip: false,
    cashback: false,
    manualEntry: false,
    manualCvv2: false,
    upload: false,
    ...capabilities,
    ...(offlineFloorMinor === undefined ? {} : { offlineFloorMinor: BigInt(offlineFloorMinor) }),
    ...(offlineLimits === undefined ? {} : { offlineLimits }),
  }
}

const isCertificate = (pem: string): boolean => {
  try {
    return new X509Certificate(pem).subject !== undefined
  } catch {
    return false
  }
}

function faultOf(entry: AcquirerEntry, path: string): DocumentFault | undefined {
  if (!Object.hasOwn(CURRENCIES, entry.currency))
    return { path: `${path}/currency`, problem: `is none of ${Object.keys(CURRENCIES).join(', ')}` }
  if (roadsOf(entry).includes('tls')) {
    const missing = (['host', 'port', 'tls'] as const).find((key) => entry[key] === undefined)
    if (missing !== undefined) return { path: `${path}/${missing}`, problem: 'is missing: its road is TLS' }
  }
  for (const key of ['ca', 'clientCertificate'] as const) {
    const pem = entry.tls?.[key]
    if (pem !== undefined && !isCertificate(pem))
      return { path: `${path}/tls/${key}`, problem: 'must be an X.509 certificate in PEM' }
  }
  try {
    dialectOf(entry)
  } catch (error) {
    if (!isPosternError(error)) throw error
    return { path: `${path}/dialectPatch`, problem: `does not fit the dialect: ${error.message}` }
  }
  return undefined
}

/** Checks an acquirers document. @throws PosternError `DOCUMENT_INVALID` naming the key and what is allowed */
export function readAcquirersDocument(value: unknown): AcquirersDocument {
  return checkDocument('acquirers', AcquirersDocument, value, ({ acquirers }): DocumentFault | undefined => {
    for (const [i, entry] of acquirers.entries()) {
      const path = `/acquirers/${i}`
      const twin = acquirers.findIndex(({ id }) => id === entry.id)
      if (twin !== i) return { path: `${path}/id`, problem: `is the id of /acquirers/${twin} too` }
      const exchanger = acquirers.findIndex(
        (other) => other.management?.keyExchange !== undefined && keySetOf(other) === keySetOf(entry),
      )
      if (entry.management?.keyExchange !== undefined && exchanger !== i)
        return {
          path: `${path}/management/keyExchange`,
          problem: `is said by /acquirers/${exchanger} too: one acquirer changes the keys of a set`,
        }
      const fault = faultOf(entry, path)
      if (fault !== undefined) return fault
    }
    return undefined
  })
}
