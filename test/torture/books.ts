// The books of a seeded day: terminal and host hold the same, to the cent; nobody was told what is not so; and what is
// not settled can be seen by a person.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { type JournalEntry, type Rows, replay } from '../../runtime/secure/payments/journal-chain.js'
import type { PaymentRecord } from '../../runtime/secure/payments/payment-record.js'
import { LIVE_STATES } from '../../runtime/secure/payments/payment-states.js'
import type { Terminal, TestHost } from '../runtime/secure/payments/support.js'

/** Outcomes that may still change. */
const INTERIM = ['reversing', 'busy', 'alreadyPaid', 'inProgress', 'unknown', 'voiding']

/** What must hold at any instant: one payment live, no trace number twice among open ones, all that is owed is shown. */
export function visibleFaults({ journal, service }: Pick<Terminal, 'journal' | 'service'>): string[] {
  const faults: string[] = []
  const open = journal.openPayments()
  const live = open.filter(({ state }) => LIVE_STATES.includes(state))
  if (live.length > 1) faults.push(`${live.length} payments are live`)
  const shown = new Set(service.stuck().items.map(({ key }) => key))
  for (const { key, state } of open)
    if (!LIVE_STATES.includes(state) && !shown.has(key)) faults.push(`${key} in ${state} is shown to nobody`)
  const stans = open.flatMap(({ stan, reversal }) => [stan, reversal?.stan]).filter((n) => n !== undefined)
  if (new Set(stans).size !== stans.length)
    faults.push(`open payments share a trace number: ${stans.join(' ')}`)
  return faults
}

/** Payments that have left the journal, as its exports tell. */
function prunedPayments(folder: string): PaymentRecord[] {
  const rows: Rows = new Map()
  const files = readdirSync(folder).filter((name) => name.endsWith('.jsonl.gz'))
  const entries = new Map<number, JournalEntry>()
  for (const file of files)
    for (const line of gunzipSync(readFileSync(join(folder, file)))
      .toString('utf8')
      .trim()
      .split('\n')
      .slice(1)) {
      const entry = JSON.parse(line) as JournalEntry
      entries.set(entry.seq, entry)
    }
  for (const [, entry] of [...entries].sort(([a], [b]) => a - b)) replay(rows, entry)
  return [...rows].flatMap(([name, row]) =>
    name.startsWith('payments ') ? [row as unknown as PaymentRecord] : [],
  )
}

const exportsOf = (folder: string): PaymentRecord[] => {
  try {
    return prunedPayments(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Every payment that ever was: what is in the journal, and what has left it. */
export function allPayments({ journal }: Pick<Terminal, 'journal'>, exports: string): PaymentRecord[] {
  const all = new Map(exportsOf(exports).map((record) => [record.key, record]))
  for (const record of journal.list(10_000)) all.set(record.key, record)
  return [...all.values()]
}

const countedMinor = ({ approvedMinor, minor }: PaymentRecord) => approvedMinor ?? minor

/** A line each side would write: what it is, its trace number and time, its amount. */
const lineOf = (kind: string, stan: string, minor: string) => `${kind} ${stan} ${minor}`

/** What must hold once everything is settled and closed. */
export function bookFaults(
  terminal: Pick<Terminal, 'journal' | 'service'>,
  host: TestHost,
  exports: string,
  told: ReadonlyMap<string, { readonly outcome: string; readonly minor: string }>,
): string[] {
  const { journal, service } = terminal
  const faults: string[] = []
  const verdict = journal.verify()
  if (!verdict.sound) faults.push(`the journal's chain: ${verdict.fault}`)
  const all = allPayments(terminal, exports)
  const idOf = ({ stan, preparedAtMs }: PaymentRecord) => `${stan} ${preparedAtMs}`
  // What a person ended is paper from then on: neither side counts it.
  const ended = new Set(all.filter(({ state }) => state === 'ENDED_BY_OPERATOR').map(idOf))
  const kindOf = ({ type = 'sale' }: PaymentRecord) => type
  const ours = all
    .filter(({ state, type }) => state === 'SETTLED' || (type === 'preauth' && state === 'COMPLETED'))
    .map((record) => lineOf(kindOf(record), idOf(record), countedMinor(record)))
  const captured = new Set(all.filter(({ state }) => state === 'CAPTURED').map(idOf))
  const theirs = [...host.ledger]
    .filter(
      ([id, { state, kind }]) =>
        state === 'approved' && !ended.has(id) && !captured.has(id) && kind !== 'increment',
    )
    .map(([id, { minor, kind = 'sale' }]) =>
      lineOf(kind === 'offlineSale' ? 'sale' : kind, id, minor.toString()),
    )
  for (const line of ours) if (!theirs.includes(line)) faults.push(`only the terminal holds ${line}`)
  for (const line of theirs) if (!ours.includes(line)) faults.push(`only the host holds ${line}`)

  const paid = new Map<string, number>()
  for (const { state, type = 'sale', reference } of all)
    if (state === 'SETTLED' && type === 'sale') paid.set(reference, (paid.get(reference) ?? 0) + 1)
  for (const [reference, times] of paid) if (times > 1) faults.push(`${reference} is paid ${times} times`)

  const byKey = new Map(all.map((record) => [record.key, record]))
  for (const [key, { outcome, minor }] of told) {
    const record = byKey.get(key)
    if (INTERIM.includes(outcome) || record?.state === 'ENDED_BY_OPERATOR') continue
    const now = journal.payment(key) === undefined ? undefined : service.status(key)
    if (record === undefined) {
      if (outcome === 'approved') faults.push(`${key} was told approved and is gone`)
      continue
    }
    if (record.minor !== minor) faults.push(`${key} is of ${record.minor}, was asked for ${minor}`)
    const voided = outcome === 'approved' && (now?.outcome === 'voided' || record.void !== undefined)
    if (now !== undefined && now.outcome !== outcome && !voided)
      faults.push(`${key} was told ${outcome}, is now ${now.outcome}`)
  }
  for (const id of new Set(all.map(({ round }) => round))) {
    const round = journal.round(id)
    const hasEnded = all.some((record) => record.round === id && record.state === 'ENDED_BY_OPERATOR')
    if (round?.agreement === 'differs' && !hasEnded)
      faults.push(`batch ${round.batch} differs: ${round.differences?.join(' ')}`)
  }
  return faults
}
