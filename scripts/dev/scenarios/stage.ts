// The stage of a scenario: hands and eyes over the handheld's control, the cloud's and the acquirer's own books.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import { CURRENCIES } from '../../../hal/base/money.js'
import { openJournal } from '../../../runtime/secure/payments/journal.js'
import { batchTotals, unresolvedOf } from '../../../runtime/secure/payments/totals.js'
import type { Entry } from '../acquirer/ledger.js'
import { MERCHANT, TERMINAL_ID } from '../factory/documents.js'
import type { Action } from '../handheld/action.js'
import type { DevTerminal } from '../supervisor/terminal.js'
import type { SeenScreen, Stage } from './player.js'

/** Payments that the verdict looks at, more than any scenario makes. */
const MAX_PAYMENTS = 1000
/** What is owed to the acquirer gets so long to arrive before the books are compared. */
const SETTLE_MS = 60_000

async function getJson<T>(url: string): Promise<T> {
  const response = await fetch(url, { signal: AbortSignal.timeout(30_000) })
  if (!response.ok) throw new PosternError('STAGE_FAILED', `${url} answered ${response.status}`)
  return (await response.json()) as T
}

/** The first app that the open world has started. */
function appOf(open: number | undefined): number | undefined {
  if (open === undefined) return undefined
  const children = readFileSync(`/proc/${open}/task/${open}/children`, 'utf8').split(' ').map(Number)
  return children.find((pid) => pid > 0 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('/apps/'))
}

/** Joins a running terminal to the player. */
export function createStage(terminal: DevTerminal): Stage {
  async function act(action: Action): Promise<void> {
    const response = await fetch(`${terminal.page}api/do`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(action),
      signal: AbortSignal.timeout(30_000),
    })
    if (!response.ok)
      throw new PosternError('STAGE_FAILED', ((await response.json()) as { error: string }).error)
  }
  const state = () =>
    getJson<{ powered: boolean; lights: Record<string, string> }>(`${terminal.page}api/state`)
  const entries = async () =>
    (await getJson<{ entries: Entry[] }>(`${terminal.ledger}entries?terminal=${TERMINAL_ID}`)).entries

  /** The terminal's own books, read from its journal; undefined while something is still owed. */
  function terminalTotals() {
    const journal = openJournal(join(terminal.layout.secure, 'journal.db'), systemClock)
    try {
      const payments = journal.list(MAX_PAYMENTS)
      return {
        totals: batchTotals(payments),
        unresolved: unresolvedOf(payments).length,
        intact: journal.verify(),
      }
    } finally {
      journal.close()
    }
  }

  const powerState = () => {
    const { secure, open } = terminal.states()
    if (secure === 'running' && open === 'running') return 'on'
    return secure === 'stopped' && open === 'stopped' ? 'off' : 'changing'
  }

  return {
    insert: (card) => act({ insert: card }),
    pull: () => act({ pull: true }),
    swipe: (step) => act(step),
    press: (key) => act({ key } as Action),
    scan: (text) => act({ scan: text }),
    fault: ({ name, ...args }) => act({ fault: { name, args } }),
    network: (to) => act({ network: to }),
    async power(step) {
      await act({ power: step })
      if (typeof step === 'object') return
      const wanted = step === 'cut' ? 'off' : 'on'
      for (let tries = 0; tries < 1200; tries++) {
        if (powerState() === wanted) return
        await systemClock.sleep(50)
      }
      throw new PosternError('STAGE_FAILED', `the worlds are not ${wanted} after 60 s`)
    },
    async kill(what) {
      const pid = what === 'app' ? appOf(terminal.pid('open')) : terminal.pid(what)
      if (pid === undefined) throw new PosternError('STAGE_FAILED', `there is no ${what} to kill`)
      process.kill(pid, 'SIGKILL')
    },
    screens: (after) => getJson<SeenScreen[]>(`${terminal.page}api/screens?after=${after}`),
    paper: async () => (await getJson<{ lines: string[] }>(`${terminal.page}api/paper`)).lines.join('\n'),
    powerState,
    light: async (name) => (await state()).lights[name] ?? 'none',
    async parcel(waybill) {
      const { parcels } = await getJson<{
        parcels: { waybill: string; status?: string; paid?: { amount: { minor: string } } }[]
      }>(`${terminal.cloud}state`)
      const parcel = parcels.find((candidate) => candidate.waybill === waybill)
      if (parcel === undefined) return undefined
      const paidMinor = parcel.paid?.amount.minor
      return { status: parcel.status ?? 'open', ...(paidMinor === undefined ? {} : { paidMinor }) }
    },
    async ledger() {
      const all = await entries()
      const standing = all.filter((entry) => entry.state === 'approved')
      const sum = standing.reduce((total, entry) => total + BigInt(entry.amountMinor), 0n)
      const reversed = all.filter((entry) => entry.state === 'reversed').length
      return { standing: standing.length, reversed, sumMinor: sum.toString() }
    },
    async verdict() {
      let books = terminalTotals()
      for (
        const until = systemClock.monotonicMs() + SETTLE_MS;
        books.unresolved > 0 && systemClock.monotonicMs() < until;
      ) {
        await systemClock.sleep(100)
        books = terminalTotals()
      }
      const response = await fetch(`${terminal.ledger}verdict`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          terminalId: TERMINAL_ID,
          currency: CURRENCIES[MERCHANT.currency]!.numeric,
          totals: books.totals,
        }),
      })
      const verdict = (await response.json()) as { agrees: boolean; lines: string[] }
      const owed = books.unresolved > 0 ? [`${books.unresolved} payments are not resolved yet`] : []
      return {
        agrees: verdict.agrees && books.unresolved === 0,
        words: [...verdict.lines, ...owed].join('\n'),
      }
    },
  }
}
