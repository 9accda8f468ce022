// `postern dispute`: what the terminal can show of one payment when its cardholder disputes it, in one signed file.
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { toHex } from '../../hal/base/bytes.js'
import { systemClock, systemRandom } from '../../hal/base/clock.js'
import { PosternError } from '../../hal/base/errors.js'
import { packageRoot } from '../../hal/base/package-root.js'
import { receiptDocument } from '../../runtime/open/receipts/receipt-document.js'
import { loadReceiptTexts } from '../../runtime/open/receipts/receipt-texts.js'
import { plainLines } from '../../runtime/open/receipts/render.js'
import { openDocuments } from '../../runtime/secure/documents.js'
import { openFileKeyStore } from '../../runtime/secure/keys/file-key-store.js'
import { type Journal, openJournal } from '../../runtime/secure/payments/journal.js'
import { MerchantDocument, readMerchantDocument } from '../../runtime/secure/payments/merchant-document.js'
import { createViews, localIso } from '../../runtime/secure/payments/payment-view.js'
import { loadTexts } from '../../runtime/secure/texts.js'
import { developmentKey, deviceKey, fingerprint } from '../hal/report.js'
import { type Attachment, attachedFile, deliveryRecords, signaturePicture } from './dispute-evidence.js'

const COLUMNS = 42

export interface Evidence {
  /** Of the open world, where the apps' records are; none where it is absent. */
  readonly openDir?: string
  /** Whose key signs: the terminal's own, out of its key store, or one that is for development. */
  readonly signer?: 'device' | 'development'
  /** Files that the depot adds: a photo of the door, a scan of the signed copy. */
  readonly files?: readonly Attachment[]
}

/** The bundle of a payment: receipt, authorisation, DE55, signature, proof of delivery, journal entries with hashes. */
export function disputeBundle(
  journal: Journal,
  merchant: MerchantDocument,
  key: string,
  { openDir, signer = 'development', files = [] }: Evidence = {},
) {
  const record = journal.payment(key) ?? journal.paymentByVoidKey(key)
  if (record === undefined) throw new PosternError('JOURNAL_UNKNOWN', `nothing is known of ${key}`)
  const views = createViews(merchant, loadTexts(join(packageRoot, 'runtime/secure/payments/texts')))
  const { card, response, advice, reversal, void: voided, resolution, signature, fiscal } = record
  const receipt = views.receipt(record)
  const texts = loadReceiptTexts()
  const related = journal.paymentsOfOriginal(record.key)
  const keys = [record.key, ...(voided === undefined ? [] : [voided.key]), ...related.map((one) => one.key)]
  const all = journal.show(record.key)
  return {
    format: 'postern-dispute-2',
    signer,
    payment: {
      key: record.key,
      type: record.type ?? 'sale',
      state: record.state,
      at: localIso(record.createdAtMs, record.utcOffsetMin),
      operator: record.operator,
      acquirer: record.acquirer,
      terminalId: record.terminalId,
      merchantId: record.merchantId,
      batch: record.batch,
      ...(record.stan === undefined ? {} : { stan: record.stan }),
      ...(record.original === undefined ? {} : { original: record.original }),
      ...(record.supervisor === undefined ? {} : { supervisor: record.supervisor }),
    },
    receipt,
    /** The merchant's copy, as it was printed. */
    receiptLines:
      receipt === null
        ? []
        : plainLines(
            receiptDocument(receipt, { copy: 'merchant', locale: record.locale, reprint: true }, texts),
            COLUMNS,
          ),
    ...(voided === undefined ? {} : { voidReceipt: views.voidReceipt(record), void: voided }),
    authorisation: {
      ...response,
      ...(advice === undefined ? {} : { advice }),
      offline: record.offline ?? null,
    },
    card: card ?? null,
    /** As sent: by the seam's contract without card number, track and name. */
    de55: record.de55 ?? null,
    signature: {
      required: record.signatureRequired === true,
      /** Given on the pad; else the paper that was signed is among `files`, if the depot added it. */
      picture: signature === undefined ? null : signaturePicture(signature),
      onPaper: record.signatureRequired === true && signature === undefined ? record.receiptNumber : null,
    },
    deliveryProof: {
      reference: record.reference,
      description: record.description ?? null,
      records: openDir === undefined ? [] : deliveryRecords(openDir, keys),
      files,
    },
    ...(fiscal === undefined ? {} : { fiscal }),
    ...(reversal === undefined ? {} : { reversal }),
    ...(resolution === undefined ? {} : { resolution }),
    related: related.map(({ key: other, type, state, minor }) => ({ key: other, type, state, minor })),
    entries: all.map((entry) => ({ ...entry, hash: toHex(entry.hash) })),
    chain: journal.verify(),
  }
}
export type DisputeBundle = ReturnType<typeof disputeBundle>

/** The bundle's JSON byte for byte as it was signed (Ed25519), and whose key it was. */
const SignedBundle = Type.Object({
  body: Type.String({ maxLength: 64 * 1024 * 1024 }),
  key: Type.String({ maxLength: 256 }),
  signature: Type.String({ maxLength: 256 }),
})
export type SignedBundle = Static<typeof SignedBundle>

export function signBundle(bundle: DisputeBundle, key: KeyObject): SignedBundle {
  const body = JSON.stringify(bundle)
  return {
    body,
    key: createPublicKey(key).export({ type: 'spki', format: 'der' }).toString('base64'),
    signature: sign(null, Buffer.from(body), key).toString('base64'),
  }
}

/**
 * Opens a signed bundle: signature, form, and the digest of each file in it; with `trusted` also whose it is.
 * @throws PosternError `DISPUTE_REFUSED` saying why
 */
export function openBundle(json: unknown, trusted?: string): { bundle: DisputeBundle; key: string } {
  const refuse = (why: string, cause?: unknown) => new PosternError('DISPUTE_REFUSED', why, {}, cause)
  if (!Value.Check(SignedBundle, json)) throw refuse('this is no signed bundle')
  let key: KeyObject
  try {
    key = createPublicKey({ key: Buffer.from(json.key, 'base64'), type: 'spki', format: 'der' })
  } catch (cause) {
    throw refuse('the key in the bundle is none', cause)
  }
  const print = fingerprint(key)
  if (trusted !== undefined && trusted.toUpperCase() !== print)
    throw refuse(`signed by ${print}, not by ${trusted}`)
  const good =
    key.asymmetricKeyType === 'ed25519' &&
    verify(null, Buffer.from(json.body), key, Buffer.from(json.signature, 'base64'))
  if (!good) throw refuse('the signature does not hold: the bundle was changed')
  const bundle = JSON.parse(json.body) as DisputeBundle
  if (bundle.format !== 'postern-dispute-2') throw refuse('a form that this release does not know')
  const { picture } = bundle.signature
  for (const file of [...bundle.deliveryProof.files, ...(picture === null ? [] : [picture])]) {
    const digest = createHash('sha256').update(Buffer.from(file.base64, 'base64')).digest('hex')
    if (digest !== file.sha256) throw refuse(`${file.name} is not what its digest says`)
  }
  return { bundle, key: print }
}

/** The terminal's own key out of its key store; without one that can be opened here, a key that is for development. */
async function signingKey(dataDir: string): Promise<{ signer: 'device' | 'development'; key: KeyObject }> {
  const secure = join(dataDir, 'secure')
  const passphrase = join(secure, 'passphrase')
  if (!existsSync(passphrase))
    return { signer: 'development', key: developmentKey(join(dataDir, 'dispute.pem')) }
  const store = await openFileKeyStore({
    folder: join(secure, 'keys'),
    passphrase: readFileSync(passphrase),
    random: systemRandom,
  })
  try {
    return { signer: 'device', key: await deviceKey(store) }
  } finally {
    store.close()
  }
}

export function disputeCommand(program: Command): Command {
  const command = new Command('dispute').description('evidence about a payment')
  command
    .command('export <key>')
    .description('bundles receipt, authorisation, masked card data, signature and proof of delivery, signed')
    .option('--to <file>', 'a file instead of the screen')
    .option('--attach <file...>', 'adds files: a photo of the delivery, a scan of the signed copy')
    .action(async (key: string, { to, attach = [] }: { to?: string; attach?: string[] }) => {
      const { dataDir } = program.opts() as { dataDir: string }
      const folder = join(dataDir, 'secure')
      const path = join(folder, 'journal.db')
      if (!existsSync(path))
        throw new PosternError(
          'JOURNAL_MISSING',
          `no journal under ${dataDir}: name its folder with --data-dir`,
        )
      const merchant = readMerchantDocument(openDocuments(folder).read('merchant', MerchantDocument))
      const files = attach.map(attachedFile)
      const journal = openJournal(path, systemClock)
      try {
        const { signer, key: own } = await signingKey(dataDir)
        const openDir = join(dataDir, 'open')
        const bundle = disputeBundle(journal, merchant, key, { openDir, signer, files })
        const text = JSON.stringify(signBundle(bundle, own))
        if (to === undefined) console.log(text)
        else writeFileSync(to, `${text}\n`, { mode: 0o600, flag: 'wx' })
      } finally {
        journal.close()
      }
    })
  command
    .command('open <file>')
    .description('checks the signature of a bundle and every digest in it, and shows it')
    .option('--trusted <fingerprint>', "refuses another key than the terminal's")
    .action((file: string, { trusted }: { trusted?: string }) => {
      let json: unknown
      try {
        json = JSON.parse(readFileSync(file, 'utf8'))
      } catch (cause) {
        throw new PosternError('DISPUTE_REFUSED', `${file} is no bundle`, {}, cause)
      }
      const { bundle, key } = openBundle(json, trusted)
      if ((program.opts() as { json?: boolean }).json === true) return console.log(JSON.stringify(bundle))
      console.log(
        `Signed by ${key} (${bundle.signer}); the journal's chain ${bundle.chain.sound ? 'held' : 'WAS BROKEN'}.\n`,
      )
      for (const line of bundle.receiptLines) console.log(`  ${line}`)
      const { records, files } = bundle.deliveryProof
      const names = [bundle.signature.picture, ...files].flatMap((one) => (one === null ? [] : [one.name]))
      console.log(`\nrecords of the delivery: ${records.length}; files: ${names.join(', ') || 'none'}`)
    })
  return command
}
