// The documents that a push may bring while the terminal runs: EMV tables and exception file, from the next payment on, and keys.
import { isPosternError } from '../../hal/base/errors.js'
import type { Log } from '../../hal/base/log.js'
import type { DocumentPiece, DocumentResult } from '../bridge/documents.js'
import { createDocumentDelivery } from './document-delivery.js'
import type { Documents } from './documents.js'
import { type EmvConfiguration, EmvDocument, emvConfiguration } from './emv/configuration.js'
import { ExceptionsDocument, exceptionTokens } from './exception-file.js'
import { KeyPackage } from './keys/key-package.js'
import type { KeyReceipt } from './keys/key-sets.js'
import type { KeyStore } from './keys/key-store.js'
import type { CardKeys } from './keys/terminal-keys.js'

export interface RunTimeDocuments {
  /** What is in force; a payment reads it once, at its start. */
  emv(): EmvConfiguration
  onExceptionFile(cardToken: string): boolean
  /** Serves `documents.deliver`. */
  deliver(piece: DocumentPiece): Promise<DocumentResult>
}

/**
 * Reads what is kept, and takes what comes: verified and made whole first, stored then, in force last.
 * @throws PosternError as `Documents.read`, `EMV_CONFIGURATION_INVALID`
 */
export async function openRunTimeDocuments(
  documents: Documents,
  store: Pick<KeyStore, 'read'>,
  keys: Pick<CardKeys, 'cardToken'>,
  inject: (offer: KeyPackage) => Promise<Pick<KeyReceipt, 'checkValue'>>,
  log: Log,
): Promise<RunTimeDocuments> {
  let emv = emvConfiguration(documents.read('emv', EmvDocument))
  let exceptions = await keptExceptions()

  /** NOTE: a list that cannot be opened stops no payment: the issuer is asked online for each of its cards anyway. */
  async function keptExceptions(): Promise<ReadonlySet<string>> {
    try {
      return await exceptionTokens(documents.read('exceptions', ExceptionsDocument), store, keys)
    } catch (error) {
      if (!isPosternError(error)) throw error
      if (error.code !== 'DOCUMENT_MISSING') log.warn('documents.exceptions', { fault: error.code })
      return new Set()
    }
  }

  const deliver = createDocumentDelivery(
    {
      emv(envelope) {
        const { version, made } = documents.replace('emv', envelope, EmvDocument, emvConfiguration)
        emv = made
        return { version }
      },
      async exceptions(envelope) {
        // Opened before it is stored, as it can be refused only then.
        await exceptionTokens(documents.verify('exceptions', envelope, ExceptionsDocument), store, keys)
        const same = (body: ExceptionsDocument) => body
        const { version, made } = documents.replace('exceptions', envelope, ExceptionsDocument, same)
        exceptions = await exceptionTokens(made, store, keys)
        return { version }
      },
      async keys(envelope) {
        const offer = documents.verify('keys', envelope, KeyPackage)
        try {
          return { version: offer.sequence, checkValue: (await inject(offer)).checkValue }
        } catch (error) {
          // A broker that retains it brings it again at every connection.
          const again =
            isPosternError(error, 'KEY_PACKAGE_REPLAYED') && error.details['last'] === offer.sequence
          if (!again) throw error
          return { version: offer.sequence }
        }
      },
    },
    log,
  )
  return { emv: () => emv, onExceptionFile: (cardToken) => exceptions.has(cardToken), deliver }
}
