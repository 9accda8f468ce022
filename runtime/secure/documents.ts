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
  'exceptions',
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
  /**
   * Puts a document that came over a road in the place of the one that is kept. `make` is the check of whoever acts on
   * it, and its product; only after it has returned is the document stored, durably, and the older ones barred. A document
   * of the version that is kept changes nothing.
   * @throws PosternError `DOCUMENT_REFUSED` (as `read`), and what `make` throws: then all stays as it was
   */
  replace<S extends TSchema, T>(
    type: DocumentType,
    envelope: unknown,
    schema: S,
    make: (body: Static<S>) => T,
  ): { readonly version: number; readonly made: T }
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

  function parse(type: DocumentType, text: string): unknown {
    try {
      return JSON.parse(text)
    } catch (cause) {
      throw new PosternError('DOCUMENT_REFUSED', `the ${type} document is not JSON`, { type }, cause)
    }
  }

  /** What a road brought, if it is newer than what was provisioned. */
  const replacedPath = (type: DocumentType) => join(folder, 'documents', `${type}.replaced`)
  function replaced(type: DocumentType): Envelope | undefined {
    const stored = readDurable(replacedPath(type))
    return stored && opened(type, parse(type, Buffer.from(stored.content).toString('utf8')))
  }

  function kept(type: DocumentType): Envelope {
    const newer = replaced(type)
    const path = join(folder, 'documents', `${type}.json`)
    if (!existsSync(path)) {
      if (newer) return newer
      throw new PosternError('DOCUMENT_MISSING', `the ${type} document has not been provisioned`, { type })
    }
    const offered = parse(type, readFileSync(path, 'utf8'))
    // Provisioned anew on the bench: the newer of the two counts.
    const version = (offered as { version?: unknown } | null)?.version
    if (newer && !(typeof version === 'number' && version > newer.version)) return newer
    return opened(type, offered)
  }

  /** The version, once no older one is to be let in. */
  function notOlder(type: DocumentType, { version }: Envelope): number {
    const known = accepted[type] ?? 0
    if (version < known) throw refuse(type, `version ${version} is older than ${known}`)
    return version
  }

  function accept(type: DocumentType, version: number): void {
    if (version <= (accepted[type] ?? 0)) return
    accepted[type] = version
    writeDurable(versionsPath, Buffer.from(JSON.stringify(accepted), 'utf8'))
  }

  return {
    read(type, schema) {
      const envelope = kept(type)
      const version = notOlder(type, envelope)
      const body = bodyOf(type, envelope, schema)
      accept(type, version)
      return body
    },
    replace(type, offered, schema, make) {
      const delivered = opened(type, offered)
      const version = notOlder(type, delivered)
      // Of one version only the first counts, whatever else the root may have signed under it.
      const envelope = version > (accepted[type] ?? 0) ? delivered : kept(type)
      const made = make(bodyOf(type, envelope, schema))
      // The document before its version: a power cut between the two leaves one that may be read.
      if (version > (accepted[type] ?? 0))
        writeDurable(replacedPath(type), Buffer.from(JSON.stringify(envelope), 'utf8'))
      accept(type, version)
      return { version, made }
    },
    verify: (type, envelope, schema) => bodyOf(type, opened(type, envelope), schema),
  }
}
