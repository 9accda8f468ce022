// `postern dispute`: what the terminal can show of one payment when its cardholder disputes it, in one file.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { toHex } from '../../hal/base/bytes.js'
import { systemClock } from '../../hal/base/clock.js'
import { PosternError } from '../../hal/base/errors.js'
import { packageRoot } from '../../hal/base/package-root.js'
import { openDocuments } from '../../runtime/secure/documents.js'
import { type Journal, openJournal } from '../../runtime/secure/payments/journal.js'
import { MerchantDocument, readMerchantDocument } from '../../runtime/secure/payments/merchant-document.js'
import { createViews, localIso } from '../../runtime/secure/payments/payment-view.js'
import { loadTexts } from '../../runtime/secure/texts.js'

/** The bundle of a payment: receipt, authorisation, DE55, signature, reference of the delivery, entries with hashes. */
export function disputeBundle(journal: Journal, merchant: MerchantDocument, key: string) {
  const record = journal.payment(key) ?? journal.paymentByVoidKey(key)
  if (record === undefined) throw new PosternError('JOURNAL_UNKNOWN', `nothing is known of ${key}`)
  const views = createViews(merchant, loadTexts(join(packageRoot, 'runtime/secure/payments/texts')))
  const { card, response, advice, reversal, void: voided, resolution } = record
  return {
    format: 'postern-dispute-1',
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
    },
    receipt: views.receipt(record),
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
      kept: record.signatureRequired === true ? `merchant copy of receipt ${record.receiptNumber}` : null,
    },
    deliveryProof: { reference: record.reference, description: record.description ?? null },
    ...(reversal === undefined ? {} : { reversal }),
    ...(resolution === undefined ? {} : { resolution }),
    related: journal.paymentsOfOriginal(record.key).map(({ key: other, type, state, minor }) => ({
      key: other,
      type,
      state,
      minor,
    })),
    entries: journal.show(record.key).map((entry) => ({ ...entry, hash: toHex(entry.hash) })),
    chain: journal.verify(),
  }
}

export function disputeCommand(program: Command): Command {
  const command = new Command('dispute').description('evidence about a payment')
  command
    .command('export <key>')
    .description('bundles receipt, authorisation, masked card data, signature and delivery reference as JSON')
    .option('--to <file>', 'a file instead of the screen')
    .action((key: string, { to }: { to?: string }) => {
      const { dataDir } = program.opts() as { dataDir: string }
      const folder = join(dataDir, 'secure')
      const path = join(folder, 'journal.db')
      if (!existsSync(path))
        throw new PosternError(
          'JOURNAL_MISSING',
          `no journal under ${dataDir}: name its folder with --data-dir`,
        )
      const merchant = readMerchantDocument(openDocuments(folder).read('merchant', MerchantDocument))
      const journal = openJournal(path, systemClock)
      try {
        const text = JSON.stringify(disputeBundle(journal, merchant, key), null, 2)
        if (to === undefined) console.log(text)
        else writeFileSync(to, `${text}\n`, { mode: 0o600, flag: 'wx' })
      } finally {
        journal.close()
      }
    })
  return command
}
