// The configuration of the open world: one JSON document, checked before anything starts.
import { type Static, Type } from 'typebox'
import { PosternError } from '../../hal/base/errors.js'
import { checker } from '../api/contract.js'

const closed = { additionalProperties: false } as const
const Host = Type.String({ minLength: 1, maxLength: 253 })
const Port = Type.Integer({ minimum: 1, maximum: 65_535 })
const Path = Type.String({ minLength: 1, maxLength: 4096 })

export const OpenConfig = Type.Object(
  {
    /** Also the device's name at the broker: the CN of its certificate. */
    terminalId: Type.String({ pattern: '^[A-Za-z0-9-]{1,32}$' }),
    /** The unix socket that the secure world listens on. */
    bridgeSocket: Path,
    /** Storage, outbox and settings; made with mode 0700 if absent. */
    dataDir: Path,
    /** The broker, and PEM files: authorities trusted for it, this terminal's certificate and key. Absent: no cloud. */
    mqtt: Type.Optional(Type.Object({ host: Host, port: Port, ca: Path, cert: Path, key: Path }, closed)),
    /** The only addresses that the secure world's pipes may be opened to. */
    acquirerEndpoints: Type.Array(Type.Object({ host: Host, port: Port }, closed), { maxItems: 16 }),
    /** The unix socket of a payment gateway on this machine, in development. Absent: no road leads through a gateway. */
    gatewaySocket: Type.Optional(Path),
    /** Folders under apps/ that are started, in this order. */
    apps: Type.Array(Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' }), { maxItems: 16 }),
    /** Apps run as this user and group; only root can ask for it. Absent: as the open world's own. */
    appUser: Type.Optional(
      Type.Object(
        {
          uid: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }),
          gid: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }),
        },
        closed,
      ),
    ),
    /** Development: where the virtual handheld's hardware bus listens. Absent: simulated devices are refused. */
    hardwareSocket: Type.Optional(Path),
    /** The board profile under hal/boards, without `.json`, or an absolute path. */
    board: Path,
    /** Values for `${name}` in the board profile. */
    boardParams: Type.Record(Type.String(), Path),
    logLevel: Type.Enum(['debug', 'info', 'warn', 'error']),
  },
  closed,
)
export type OpenConfig = Static<typeof OpenConfig>

/** Checks a parsed document. @throws PosternError `CONFIG_INVALID` naming the key and what is allowed. */
export function openConfigFrom(document: unknown): OpenConfig {
  const fault = checker(OpenConfig)(document)
  if (fault !== undefined) throw new PosternError('CONFIG_INVALID', `open world's configuration: ${fault}`)
  return document as OpenConfig
}
