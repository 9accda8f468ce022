// Our own certificate towards an acquirer that asks for one: the certificate is in its document, the key lies beside the journal.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PosternError } from '../../../../hal/base/errors.js'
import type { AcquirerEntry } from '../acquirer-document.js'

/**
 * Certificate and key of the terminal for this acquirer, PEM; nothing where its document names no certificate. The key is
 * `<folder>/acquirers/<id>.key`, which only the secure world can read.
 * @throws PosternError `KEY_UNAVAILABLE` when the certificate has no key here
 */
export function clientIdentity(
  { id, tls }: AcquirerEntry,
  folder: string,
): { readonly clientCertificate?: string; readonly clientKey?: string } {
  const clientCertificate = tls?.clientCertificate
  if (clientCertificate === undefined) return {}
  const path = join(folder, 'acquirers', `${id}.key`)
  if (!existsSync(path))
    throw new PosternError('KEY_UNAVAILABLE', `no key for our certificate towards acquirer ${id}`, {
      acquirer: id,
    })
  return { clientCertificate, clientKey: readFileSync(path, 'utf8') }
}
