// `postern journal`: the terminal's own books, read while it runs or stands still.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { systemClock } from '../../hal/base/clock.js'
import { PosternError } from '../../hal/base/errors.js'
import { formatMoney } from '../../hal/base/money.js'
import { type Journal, openJournal } from '../../runtime/secure/payments/journal.js'
import type { Verdict } from '../../runtime/secure/payments/journal-chain.js'
import { EXPORTS, verifyExport, writeExport } from '../../runtime/secure/payments/journal-export.js'
import { amountOf, localIso } from '../../runtime/secure/payments/payment-view.js'

export function journalCommand(
  program: Command,
  wholeNumber: (from: number, to: number) => (text: string) => number,
): Command {
  function withJournal(work: (journal: Journal, json: boolean, folder: string) => void): void {
    const { dataDir, json = false } = program.opts() as { dataDir: string; json?: boolean }
    const path = join(dataDir, 'secure', 'journal.db')
    if (!existsSync(path))
      throw new PosternError(
        'JOURNAL_MISSING',
        `no journal under ${dataDir}: start a terminal there first, or name its folder with --data-dir`,
      )
    const journal = openJournal(path, systemClock)
    try {
      work(journal, json, join(dataDir, 'secure'))
    } finally {
      journal.close()
    }
  }
  const command = new Command('journal').description("the terminal's journal of payments")
  command
    .command('list')
    .description('payments, the newest first')
    .option('--limit <n>', 'how many', wholeNumber(1, 10_000), 50)
    .action(({ limit }: { limit: number }) =>
      withJournal((journal, json) => {
        const payments = journal.list(limit)
        if (json) return console.log(JSON.stringify(payments))
        if (payments.length === 0) return console.log('No payments yet.')
        for (const payment of payments) {
          const card = payment.card === undefined ? '' : `${payment.card.label} ${payment.card.maskedPan}`
          console.log(
            [
              localIso(payment.createdAtMs, payment.utcOffsetMin),
              payment.state.padEnd(16),
              formatMoney(amountOf(payment), true).padStart(14),
              payment.reference.padEnd(20),
              payment.key,
              card,
            ].join('  '),
          )
        }
      }),
    )
  command
    .command('show <key>')
    .description('every entry about one payment or round')
    .action((key: string) =>
      withJournal((journal) => {
        const entries = journal.show(key)
        if (entries.length === 0) throw new PosternError('JOURNAL_UNKNOWN', `nothing is known of ${key}`)
        console.log(JSON.stringify(entries, null, 2))
      }),
    )
  command
    .command('verify')
    .description('checks the chain of hashes over all entries, or over those of an export')
    .argument('[export]', 'a file that export or the terminal itself has written')
    .action((path?: string) => {
      const tell = (verdict: Verdict, json: boolean) => {
        const { sound, entries } = verdict
        if (json) console.log(JSON.stringify(verdict))
        else if (sound) console.log(`The chain holds over ${entries} entries.`)
        else console.log(`THE CHAIN IS BROKEN after ${entries} entries: ${verdict.fault}`)
        if (!sound) process.exitCode = 1
      }
      if (path === undefined) withJournal((journal, json) => tell(journal.verify(), json))
      else tell(verifyExport(path), command.optsWithGlobals<{ json?: boolean }>().json === true)
    })
  command
    .command('round')
    .description('the round that was opened last: totals sent to each acquirer, and each difference')
    .action(() =>
      withJournal((journal, json) => {
        const round = journal.lastRound()
        if (round === undefined) return console.log(json ? 'null' : 'No round yet.')
        if (json) return console.log(JSON.stringify(round))
        console.log(`Round ${round.id}, batch ${round.batch}: ${round.state}, ${round.agreement ?? 'open'}`)
        for (const line of round.differences ?? []) console.log(`  ${line}`)
      }),
    )
  command
    .command('export <file>')
    .description('writes every entry, gzipped JSON lines with their chain of hashes')
    .action((path: string) =>
      withJournal((journal, json, folder) => {
        const { previous, entries } = journal.chain()
        writeExport(path, previous, entries)
        const earlier = existsSync(join(folder, EXPORTS))
          ? readdirSync(join(folder, EXPORTS))
              .filter((name) => name.endsWith('.gz'))
              .map((name) => join(folder, EXPORTS, name))
          : []
        const entriesWritten = journal.size()
        if (json) return console.log(JSON.stringify({ file: path, entries: entriesWritten, earlier }))
        console.log(`${entriesWritten} entries in ${path}`)
        if (earlier.length > 0)
          console.log(`Older entries, which the terminal has exported itself:\n  ${earlier.join('\n  ')}`)
      }),
    )
  return command
}
