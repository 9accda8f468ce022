// The configuration of the secure world: where its things lie and how it is run. What it acts on is in signed documents.
import { type Static, Type } from 'typebox'
import { PosternError } from '../../hal/base/errors.js'
import { checker } from '../api/contract.js'

const Path = Type.String({ minLength: 1, maxLength: 4096 })

export const SecureConfig = Type.Object(
  {
    /** Simulated devices are refused in `production`. */
    profile: Type.Enum(['production', 'development']),
    /** Journal, keys, documents; mode 0700. */
    dataDir: Path,
    bridgeSocket: Path,
    /** Mode of the bridge's socket: 384 (0600), or 432 (0660) where the open world has a user of its own. */
    bridgeMode: Type.Enum([0o600, 0o660]),
    /** The board profile under hal/boards, without `.json`, or an absolute path. */
    board: Type.String({ minLength: 1, maxLength: 4096 }),
    /** Values for `${name}` in the board profile. */
    boardParams: Type.Record(Type.String(), Type.String({ maxLength: 4096 })),
    /** Where keys lie: sealed by the board's secure element, or under a passphrase (`file`, for development). */
    keyStore: Type.Optional(Type.Enum(['file', 'secure-element'])),
    /** File with the passphrase of the key store `file`. */
    passphraseFile: Type.Optional(Path),
    logLevel: Type.Enum(['debug', 'info', 'warn', 'error']),
    /** Shown where no app is: a protection that is missing, for instance. */
    note: Type.Optional(Type.String({ maxLength: 200 })),
  },
  { additionalProperties: false },
)
export type SecureConfig = Static<typeof SecureConfig>

/** Checks a parsed document. @throws PosternError `CONFIG_INVALID` naming the key and what is allowed */
export function secureConfigFrom(document: unknown): SecureConfig {
  const fault = checker(SecureConfig)(document)
  if (fault !== undefined) throw new PosternError('CONFIG_INVALID', `secure world's configuration: ${fault}`)
  return document as SecureConfig
}
