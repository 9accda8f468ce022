// The development cloud's configuration: one JSON file, checked before anything is opened.
import { readFileSync } from 'node:fs'
import { type Static, Type } from 'typebox'
import { PosternError } from '../../../hal/base/errors.js'
import { checker } from '../../../runtime/api/contract.js'

const closed = { additionalProperties: false } as const
const Host = Type.String({ minLength: 1, maxLength: 253 })
const Port = Type.Integer({ minimum: 0, maximum: 65_535 })
const Path = Type.String({ minLength: 1 })

export const CloudConfig = Type.Object(
  {
    /**
     * Where the embedded broker listens (port 0: a free one), the authority whose clients it takes, its own certificate.
     * With `broker` nothing is embedded and only `ca` is used.
     */
    mqtt: Type.Object({ host: Host, port: Port, ca: Path, cert: Path, key: Path }, closed),
    /** Another broker to use, such as mosquitto. */
    broker: Type.Optional(Type.Object({ host: Host, port: Port }, closed)),
    /** The page and its state, on loopback. */
    http: Type.Object(
      { host: Type.Union([Type.Literal('127.0.0.1'), Type.Literal('::1')]), port: Port },
      closed,
    ),
    /** The delivery service's client certificate; its CN may use every topic. */
    service: Type.Object({ cert: Path, key: Path }, closed),
    /** Terminals that get the sample round of the day. */
    terminals: Type.Array(Type.String({ pattern: '^[A-Za-z0-9-]{1,32}$' }), { minItems: 1, maxItems: 100 }),
    /** What the service knows is kept here. */
    stateDir: Path,
    /** Parcels instead of the samples beside this file. */
    deliveries: Type.Optional(Path),
    /** How often what a terminal has not taken is sent again; 15 s. */
    repeatMs: Type.Optional(Type.Integer({ minimum: 50, maximum: 600_000 })),
  },
  closed,
)
export type CloudConfig = Static<typeof CloudConfig>

/** Reads and checks the file. @throws PosternError `CONFIG_INVALID` naming the key */
export function readCloudConfig(path: string): CloudConfig {
  const document: unknown = JSON.parse(readFileSync(path, 'utf8'))
  const fault = checker(CloudConfig)(document)
  if (fault !== undefined) throw new PosternError('CONFIG_INVALID', `cloud's configuration: ${fault}`)
  return document as CloudConfig
}
