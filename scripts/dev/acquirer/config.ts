// The acquirer's configuration: one JSON file, checked before anything is opened.
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Static, Type } from 'typebox'
import { PosternError } from '../../../hal/base/errors.js'
import { checker } from '../../../runtime/api/contract.js'
import { DIALECT_NAMES } from '../../../runtime/secure/payments/iso8583/dialects/host-dialects.js'

const closed = { additionalProperties: false } as const
const Address = Type.Object(
  { host: Type.String({ minLength: 1 }), port: Type.Integer({ minimum: 0, maximum: 65535 }) },
  closed,
)

const RuleSchema = Type.Object(
  {
    name: Type.String(),
    on: Type.Enum(['sale', 'reversal', 'totals', 'advice', 'network']),
    when: Type.Object(
      {
        amountEnds: Type.Optional(Type.String({ pattern: '^[0-9]+$' })),
        panEnds: Type.Optional(Type.String({ pattern: '^[0-9]+$' })),
        bin: Type.Optional(Type.String({ pattern: '^[0-9]+$' })),
        management: Type.Optional(Type.Enum(['signOn', 'signOff', 'echo', 'keyExchange'])),
      },
      closed,
    ),
    keyBlock: Type.Optional(Type.Enum(['none', 'noCheckValue', 'wrongCheckValue', 'altered', 'foreignBase'])),
    decline: Type.Optional(Type.String({ pattern: '^[0-9A-Z]{2}$' })),
    booked: Type.Optional(Type.Literal(false)),
    delivery: Type.Optional(
      Type.Union([
        Type.Literal('normal'),
        Type.Literal('silent'),
        Type.Literal('late'),
        Type.Literal('dropMidReply'),
        Type.Literal('dropBeforeReply'),
        Type.Literal('twice'),
        Type.Literal('badMac'),
        Type.Literal('unreadable'),
      ]),
    ),
    standIn: Type.Optional(Type.Literal(true)),
    partial: Type.Optional(Type.Literal(true)),
    forgotten: Type.Optional(Type.Literal(true)),
    issuerAnswer: Type.Optional(Type.Union([Type.Literal('none'), Type.Literal('wrong')])),
    times: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  closed,
)

export const AcquirerConfig = Type.Object(
  {
    /** Where terminals connect, TLS; port 0 takes a free one. */
    listen: Address,
    /** Where the ledger is asked, plain HTTP on loopback; absent: not at all. */
    query: Type.Optional(Address),
    /** PEM files. With `clientCa` a terminal must show a certificate of that authority. */
    tls: Type.Object(
      { key: Type.String(), cert: Type.String(), clientCa: Type.Optional(Type.String()) },
      closed,
    ),
    /** Base derivation key, hex of 16, 24 or 32 bytes. */
    bdk: Type.String({ pattern: '^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{48}|[0-9A-Fa-f]{64})$' }),
    /** For terminals with TDES keys: hex of 16 bytes. */
    tdesBdk: Type.Optional(Type.String({ pattern: '^[0-9A-Fa-f]{32}$' })),
    /** Key block protection key of key exchanges, hex of 16 or 32 bytes; absent: 0800 for a key is refused. */
    kbpk: Type.Optional(Type.String({ pattern: '^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{64})$' })),
    /** Whoever has not signed on since the start is refused. */
    signOnFirst: Type.Optional(Type.Boolean()),
    /** How it speaks: `postern-dev` unless told. */
    dialect: Type.Optional(Type.Enum([...DIALECT_NAMES])),
    framing: Type.Optional(
      Type.Object({ length: Type.Enum(['binary', 'bcd', 'ascii']), tpdu: Type.Boolean() }, closed),
    ),
    /** Folder of the issuer's keys (scripts/dev/issuer). */
    issuerKeys: Type.String(),
    /** Folder of the cards' profiles, where it isn't the issuer's own. */
    cards: Type.Optional(Type.String()),
    /** File of what the issuer remembers of its cards (counters, wrong PINs); beside the ledger where absent. */
    issuerBooks: Type.Optional(Type.String()),
    /** SQLite file. */
    ledger: Type.String(),
    terminals: Type.Array(
      Type.Object(
        {
          terminalId: Type.String({ pattern: '^[ -~]{8}$' }),
          merchantId: Type.String({ pattern: '^[ -~]{1,15}$' }),
          /** The terminal's own, where it is not that of the others. */
          kbpk: Type.Optional(Type.String({ pattern: '^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{64})$' })),
        },
        closed,
      ),
      { minItems: 1 },
    ),
    /** How late a late answer is. */
    lateMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 600_000 })),
    /** Go before the built-in rules (rules.ts). */
    rules: Type.Optional(Type.Array(RuleSchema, { maxItems: 100 })),
  },
  closed,
)
export type AcquirerConfig = Static<typeof AcquirerConfig> & { readonly issuerBooks: string }

/** Reads the file; paths in it are relative to its folder. @throws PosternError `CONFIG_INVALID` naming the key */
export function readAcquirerConfig(path: string): AcquirerConfig {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new PosternError('CONFIG_INVALID', `${path} cannot be read as JSON`, {}, error)
  }
  const fault = checker(AcquirerConfig)(value)
  if (fault !== undefined) throw new PosternError('CONFIG_INVALID', `acquirer configuration: ${fault}`)
  const config = value as Static<typeof AcquirerConfig>
  const at = (file: string) => resolve(dirname(path), file)
  const { key, cert, clientCa } = config.tls
  return {
    ...config,
    tls: { key: at(key), cert: at(cert), ...(clientCa === undefined ? {} : { clientCa: at(clientCa) }) },
    issuerKeys: at(config.issuerKeys),
    ledger: at(config.ledger),
    issuerBooks: at(config.issuerBooks ?? `${config.ledger}.issuer-books`),
    ...(config.cards === undefined ? {} : { cards: at(config.cards) }),
  }
}
