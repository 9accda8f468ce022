// A signed document on its way to the secure world: cut into pieces, and what became of it. Nothing here reads or trusts it.
import {
  type DeliveredType,
  DOCUMENT_PIECE,
  type DocumentResult,
  MAX_DOCUMENT,
} from '../../bridge/documents.js'
import type { SecureClient } from './bridge-client.js'

/** Delivers an envelope as it came. Rejects with `DISCONNECTED` where the secure world goes away meanwhile. */
export async function deliverDocument(
  secure: Pick<SecureClient, 'documents.deliver'>,
  type: DeliveredType,
  envelope: Uint8Array,
): Promise<DocumentResult> {
  const total = envelope.length
  if (total === 0 || total > MAX_DOCUMENT)
    return { kind: 'refused', code: 'DOCUMENT_REFUSED', message: 'its length is out of bounds' }
  for (let offset = 0; ; offset += DOCUMENT_PIECE) {
    const data = Buffer.from(envelope.subarray(offset, offset + DOCUMENT_PIECE)).toString('base64')
    const result = await secure['documents.deliver']({ type, offset, total, data })
    if (result.kind !== 'more') return result
  }
}
