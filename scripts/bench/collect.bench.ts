// A collect by stage on the running development terminal, all its processes and wires included.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../hal/base/clock.js'
import { openSqlite } from '../../hal/base/sqlite.js'
import { play } from '../dev/scenarios/player.js'
import { readScenario, type Step } from '../dev/scenarios/scenario.js'
import { createStage } from '../dev/scenarios/stage.js'
import { startTerminal } from '../dev/supervisor/terminal.js'
import { type Bench, median, type Row } from './measure.js'

const CARD = 'credit-pin'
const PIN = '1234'
const POLL_MS = 5
const LONGEST_MS = 30_000

/** English parcels that the acquirer approves, with what is due as the screen writes it. */
const PARCELS = [
  ['PH-100001', '€24.50'],
  ['PH-100005', '€12.00'],
  ['PH-100009', '€45.00'],
  ['PH-100004', '€312.90'],
] as const

const now = () => systemClock.monotonicMs()

interface Collect {
  readonly toPin: number
  readonly toHost: number
  readonly line: number
  readonly host: number
  readonly card: number
  readonly toApproved: number
  readonly print: number
}

/** Collects on a running terminal, over its own processes. */
async function collects(folder: string, tell: (line: string) => void): Promise<Collect[]> {
  const terminal = await startTerminal({
    dataDir: folder,
    board: 'virtual-handheld',
    port: 0,
    hostMs: 30_000,
    logLevel: 'info',
    tell,
  })
  try {
    const stage = createStage(terminal)
    const steps = async (...list: Step[]) => {
      const hands = { ...stage, verdict: async () => ({ agrees: true, words: '' }) }
      const result = await play({ title: 'bench', steps: list }, hands, systemClock, () => undefined)
      if (!result.passed) throw new Error(result.failure)
    }
    const until = async (holds: () => Promise<boolean>): Promise<number> => {
      for (const limit = now() + LONGEST_MS; now() < limit; await systemClock.sleep(POLL_MS))
        if (await holds()) return now()
      throw new Error(`nothing in ${LONGEST_MS} ms`)
    }
    const untilScreen = (word: string) =>
      until(async () => (await stage.screens(0)).at(-1)?.lines.join('\n').includes(word) === true)
    const { steps: usual } = readScenario('courier-card')
    // Signed in, before the first parcel is chosen.
    await steps(...usual.slice(0, usual.findIndex((step) => 'insert' in step) - 5))
    const journal = openSqlite(join(terminal.layout.secure, 'journal.db'), { readonly: true })
    const latest = journal.prepare('SELECT at_ms FROM entries WHERE step = ? ORDER BY seq DESC LIMIT 1')
    const at = (step: string) => (latest.get(step) as { at_ms: number }).at_ms

    const done: Collect[] = []
    for (const [waybill, due] of PARCELS) {
      await stage.scan(waybill)
      await untilScreen(`Collect ${due}`)
      await stage.press('enter')
      await untilScreen('Insert card')
      const inserted = now()
      await stage.insert(CARD)
      const asked = await untilScreen('green key')
      for (const digit of PIN) await stage.press(digit)
      const entered = now()
      const enteredAt = Date.now()
      await stage.press('enter')
      const approved = await untilScreen('Approved')
      const pulled = now()
      await stage.pull()
      // Asked when the printer has answered that the customer's copy is out.
      const printed = await untilScreen("Print the courier's copy")
      done.push({
        toPin: asked - inserted,
        toHost: at('payment.prepared') - enteredAt,
        line: at('payment.sending') - at('payment.prepared'),
        host: at('payment.hostApproved') - at('payment.sending'),
        card: at('payment.cardApproved') - at('payment.hostApproved'),
        toApproved: approved - entered,
        print: printed - pulled,
      })
      await stage.press('cancel')
      await untilScreen(`Today ${done.length} of 10`)
    }
    journal.close()
    return done
  } finally {
    await terminal.stop()
  }
}

export const bench: Bench = {
  title: 'a collect by stage',
  async run(tell) {
    const folder = mkdtempSync(join(tmpdir(), 'postern-bench-'))
    try {
      const done = await collects(join(folder, 'terminal'), tell)
      const of = (stage: keyof Collect) => median(done.map((collect) => collect[stage]))
      const whole = of('toPin') + of('toApproved') + of('print')
      const share = { what: 'collect without the person', value: whole }
      const row = (what: string, stage: keyof Collect): Row => ({
        what,
        value: of(stage),
        unit: 'ms',
        peer: share,
      })
      return [
        row('card: in the slot to PIN prompt', 'toPin'),
        row('card: green key to first cryptogram', 'toHost'),
        row('host: connection and TLS through the open world', 'line'),
        row('host: message leaves to answer', 'host'),
        row('card: answer to second cryptogram', 'card'),
        row('all: green key to "Approved" on the screen', 'toApproved'),
        row("print: card out to the customer's copy on paper", 'print'),
      ]
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}
