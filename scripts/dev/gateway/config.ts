// The development gateway's configuration: one JSON file, checked before anything is opened.
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Static, Type } from 'typebox'
import { PosternError } from '../../../hal/base/errors.js'
import { checker } from '../../../runtime/api/contract.js'

const closed = { additionalProperties: false } as const
const Address = Type.Integer({ minimum: 0, maximum: 9999 })

/** One acquirer behind the gateway, by the id that terminals' documents give it. */
export const GatewayAcquirer = Type.Object(
  {
    id: Type.String({ pattern: '^[a-z0-9-]{1,32}$' }),
    host: Type.String({ minLength: 1 }),
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    /** PEM files: whom to trust, and who the gateway is where the acquirer asks. */
    tls: Type.Object(
      {
        serverName: Type.String({ minLength: 1 }),
        ca: Type.String(),
        cert: Type.Optional(Type.String()),
        key: Type.Optional(Type.String()),
      },
      closed,
    ),
    tpdu: Type.Object({ destination: Address, source: Address }, closed),
    framing: Type.Optional(
      Type.Object({ length: Type.Enum(['binary', 'bcd', 'ascii']), tpdu: Type.Boolean() }, closed),
    ),
  },
  closed,
)
export type GatewayAcquirer = Static<typeof GatewayAcquirer>

export const GatewayConfig = Type.Object(
  {
    /** The unix socket where terminals' open worlds connect. */
    socket: Type.String({ minLength: 1, maxLength: 100 }),
    /** File of what was reversed. */
    reversed: Type.String({ minLength: 1 }),
    acquirers: Type.Array(GatewayAcquirer, { minItems: 1, maxItems: 16 }),
    /** How long a line to an acquirer is kept for late and double answers: 10 s. */
    lingerMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 120_000 })),
  },
  closed,
)
export type GatewayConfig = Static<typeof GatewayConfig>

/** Reads the file; paths in it are relative to its folder. @throws PosternError `CONFIG_INVALID` naming the key */
export function readGatewayConfig(path: string): GatewayConfig {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new PosternError('CONFIG_INVALID', `${path} cannot be read as JSON`, {}, error)
  }
  const fault = checker(GatewayConfig)(value)
  if (fault !== undefined) throw new PosternError('CONFIG_INVALID', `gateway configuration: ${fault}`)
  const config = value as GatewayConfig
  const at = (file: string) => resolve(dirname(path), file)
  return {
    ...config,
    socket: at(config.socket),
    reversed: at(config.reversed),
    acquirers: config.acquirers.map((acquirer) => {
      const { ca, cert, key } = acquirer.tls
      const own = {
        ...(cert === undefined ? {} : { cert: at(cert) }),
        ...(key === undefined ? {} : { key: at(key) }),
      }
      return { ...acquirer, tls: { serverName: acquirer.tls.serverName, ca: at(ca), ...own } }
    }),
  }
}
