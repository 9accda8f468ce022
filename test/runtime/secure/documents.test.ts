// Signed documents: only what the root signed, of the right kind, never older than before, and as the schema asks.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Type } from 'typebox'
import { type DocumentType, openDocuments, signedBytes } from '../../../runtime/secure/documents.js'

const Merchant = Type.Object({ name: Type.String() }, { additionalProperties: false })

function desk(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'postern-documents-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'documents'))
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  writeFileSync(join(folder, 'document-root.pem'), publicKey.export({ type: 'spki', format: 'pem' }))
  const put = (
    type: DocumentType,
    version: number,
    body: string,
    as: DocumentType = type,
    key: KeyObject = privateKey,
  ) => {
    const signature = sign(null, signedBytes({ type, version, body }), key).toString('base64')
    writeFileSync(join(folder, 'documents', `${as}.json`), JSON.stringify({ type, version, body, signature }))
  }
  return { folder, put }
}

t.test('a signed document is read', async (t) => {
  const { folder, put } = desk(t)
  put('merchant', 1, '{"name":"Parcel House"}')
  t.same(openDocuments(folder).read('merchant', Merchant), { name: 'Parcel House' })
})

t.test('what is not there is missing, not empty', async (t) => {
  t.throws(() => openDocuments(desk(t).folder).read('merchant', Merchant), { code: 'DOCUMENT_MISSING' })
})

t.test('a foreign signature, another kind, a bad body and bad JSON are refused', async (t) => {
  const { folder, put } = desk(t)
  const documents = openDocuments(folder)
  const refused = (why: RegExp) =>
    t.throws(() => documents.read('merchant', Merchant), { code: 'DOCUMENT_REFUSED', message: why })
  put('merchant', 1, '{"name":"x"}', 'merchant', generateKeyPairSync('ed25519').privateKey)
  refused(/signature/)
  put('operators', 1, '{"name":"x"}', 'merchant')
  refused(/operators/)
  put('merchant', 1, '{"name":7}')
  refused(/name/)
  put('merchant', 1, '{"name"')
  refused(/not JSON/)
  writeFileSync(join(folder, 'documents', 'merchant.json'), '{"type":"merchant"}')
  refused(/required/)
})

t.test('an older version never comes back, also after a restart', async (t) => {
  const { folder, put } = desk(t)
  put('merchant', 7, '{"name":"new"}')
  openDocuments(folder).read('merchant', Merchant)
  put('merchant', 6, '{"name":"old"}')
  t.throws(() => openDocuments(folder).read('merchant', Merchant), {
    code: 'DOCUMENT_REFUSED',
    message: /older/,
  })
  put('merchant', 7, '{"name":"new"}')
  t.same(openDocuments(folder).read('merchant', Merchant), { name: 'new' })
})
