// Signed documents: whatever the secure world acts on, it verifies itself, under roots that only it can write.
import { createPublicKey, verify } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Static, type TSchema, Type } from 'typebox'
import { readDurable, writeDurable } from '../../hal/base/durable-file.js'
import { PosternError } from '../../hal/base/errors.js'
import { checker } from '../api/contract.js'

/** The kinds of document; each has one schema, kept with the part that acts on it. */
export const DOCUMENT_TYPES = [
  'acquirers',
  'routing',
  'merchant',
  'operators',
  'emv',
  'terminal',
  'keys',
] as const
export type DocumentType = (typeof DOCUMENT_TYPES)[number]

/** `body` is the document's JSON text, signed as it stands together with type and version (Ed25519, RFC 8032). */
const Envelope = Type.Object(
  {
    type: Type.Enum(DOCUMENT_TYPES),
    version: Type.Integer({ minimum: 1, maximum: 2 ** 31 }),
    body: Type.String({ maxLength: 1_000_000 }),
    signature: Type.String({ pattern: '^[A-Za-z0-9+/]{86}==$' }),
  },
  { additionalProperties: false },
)
export type Envelope = Static<typeof Envelope>

/** The bytes that a document's signature covers. */
export function signedBytes(envelope: Pick<Envelope, 'type' | 'version' | 'body'>): Uint8Array {
  return Buffer.from(`postern-document\n${envelope.type}\n${envelope.version}\n${envelope.body}`, 'utf8')
}

export interface Documents {
  /**
   * The verified body of a document, checked against `schema`.
   * @throws PosternError `DOCUMENT_MISSING`, `DOCUMENT_REFUSED` (signature, type, older than accepted before, schema)
   */
  read<S extends TSchema>(type: DocumentType, schema: S): Static<S>
  /**
   * The verified body of a document that came over a road and is not kept; whoever acts on it sees to it that none acts
   * twice. @throws PosternError `DOCUMENT_REFUSED` (signature, type, schema)
   */
  verify<S extends TSchema>(type: DocumentType, envelope: unknown, schema: S): Static<S>
}

const refuse = (type: string, why: string) =>
  new PosternError('DOCUMENT_REFUSED', `the ${type} document is refused: ${why}`, { type })

/**
 * Opens the documents under `<folder>/documents`. The root key is `<folder>/document-root.pem`; the highest version
 * ever accepted of each type is kept durably beside it, so that an older document never comes back.
 */
export function openDocuments(folder: string): Documents {
  const root = createPublicKey(readFileSync(join(folder, 'document-root.pem')))
  const versionsPath = join(folder, 'document-versions')
  const stored = readDurable(versionsPath)
  const accepted: Record<string, number> = stored
    ? JSON.parse(Buffer.from(stored.content).toString('utf8'))
    : {}
  const isEnvelope = checker(Envelope)

  function opened(type: DocumentType, offered: unknown): Envelope {
    const fault = isEnvelope(offered)
    if (fault !== undefined) throw refuse(type, fault)
    const envelope = offered as Envelope
    if (envelope.type !== type) throw refuse(type, `it says that it is ${envelope.type}`)
    if (!verify(null, signedBytes(envelope), root, Buffer.from(envelope.signature, 'base64')))
      throw refuse(type, 'its signature is not by our root')
    return envelope
  }

  function bodyOf<S extends TSchema>(type: DocumentType, envelope: Envelope, schema: S): Static<S> {
    let body: unknown
    try {
      body = JSON.parse(envelope.body)
    } catch (cause) {
      throw new PosternError('DOCUMENT_REFUSED', `the ${type} document's body is not JSON`, { type }, cause)
    }
    const fault = checker(schema)(body)
    if (fault !== undefined) throw refuse(type, fault)
    return body as never
  }

  return {
    read(type, schema) {
      const path = join(folder, 'documents', `${type}.json`)
      if (!existsSync(path))
        throw new PosternError('DOCUMENT_MISSING', `the ${type} document has not been provisioned`, { type })
      let offered: unknown
      try {
        offered = JSON.parse(readFileSync(path, 'utf8'))
      } catch (cause) {
        throw new PosternError('DOCUMENT_REFUSED', `the ${type} document is not JSON`, { type }, cause)
      }
      const envelope = opened(type, offered)
      const known = accepted[type] ?? 0
      if (envelope.version < known) throw refuse(type, `version ${envelope.version} is older than ${known}`)
      const body = bodyOf(type, envelope, schema)
      if (envelope.version > known) {
        accepted[type] = envelope.version
        writeDurable(versionsPath, Buffer.from(JSON.stringify(accepted), 'utf8'))
      }
      return body
    },
    verify: (type, envelope, schema) => bodyOf(type, opened(type, envelope), schema),
  }
}
