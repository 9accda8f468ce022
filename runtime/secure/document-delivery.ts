// Documents that the open world brings while the terminal runs: put together out of pieces, verified, stored, put to use.
import { isPosternError, PosternError } from '../../hal/base/errors.js'
import type { Log } from '../../hal/base/log.js'
import type { DeliveredType, DocumentPiece, DocumentResult } from '../bridge/documents.js'

/** What is told of a document that was taken. */
export type Taken = Omit<Extract<DocumentResult, { kind: 'taken' }>, 'kind'>

/** Verifies, stores and uses one type of document. Throws what refuses it, and all stays as it was. */
export type TakeDocument = (envelope: unknown) => Taken | Promise<Taken>

/** Serves `documents.deliver`: one delivery at a time, each new one ends the one before. */
export function createDocumentDelivery(
  take: Readonly<Record<DeliveredType, TakeDocument>>,
  log: Log,
): (piece: DocumentPiece) => Promise<DocumentResult> {
  let under:
    | { readonly type: DeliveredType; readonly total: number; readonly bytes: Buffer; have: number }
    | undefined

  return async ({ type, offset, total, data }) => {
    const piece = Buffer.from(data, 'base64')
    if (offset === 0) under = { type, total, bytes: Buffer.alloc(total), have: 0 }
    if (
      under === undefined ||
      under.type !== type ||
      under.total !== total ||
      under.have !== offset ||
      piece.length === 0 ||
      offset + piece.length > total
    ) {
      under = undefined
      return refused(new PosternError('DOCUMENT_REFUSED', 'its pieces do not follow each other'))
    }
    piece.copy(under.bytes, offset)
    under.have += piece.length
    if (under.have < total) return { kind: 'more' }
    const { bytes } = under
    under = undefined
    try {
      const taken = await take[type](parse(bytes))
      log.info('documents.taken', { type, ...taken })
      return { kind: 'taken', ...taken }
    } catch (error) {
      if (!isPosternError(error)) throw error
      const result = refused(error)
      log.warn('documents.refused', { type, ...result })
      return result
    }
  }
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new PosternError('DOCUMENT_REFUSED', 'it is not JSON', {}, cause)
  }
}

/** With `where`, `key` and `rule` where the fault is in the body (EMV_CONFIGURATION_INVALID). */
function refused({ code, message, details }: PosternError): Extract<DocumentResult, { kind: 'refused' }> {
  const text = (key: string) => {
    const value = details[key]
    return typeof value === 'string' ? { [key]: value.slice(0, 200) } : {}
  }
  return {
    kind: 'refused',
    code,
    message: message.slice(0, 500),
    ...text('where'),
    ...text('key'),
    ...text('rule'),
  }
}
