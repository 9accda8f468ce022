// The end of the round: counts, sums by tender, differences named, the hand-in. Cut off anywhere, it goes on from there.
import { RpcError } from '../../runtime/api/json-rpc.js'
import type { RoundClose, RoundTotals } from '../../runtime/api/payments.js'
import { handInPaper, STATES } from './hand-in.js'
import type { HandIn } from './messages.js'
import { type Desk, resolveOpen } from './payment.js'
import { print } from './receipts.js'
import type { Round, StopState } from './round.js'
import { clip } from './texts.js'
import type { Ui } from './ui.js'

/** What is stored under `closing` from the courier's word until the slip was offered. */
interface Closing {
  /** As they stood before: they tell whether the terminal's round was closed while we were away. */
  readonly totals: RoundTotals
  /** Known once it is closed. */
  readonly message?: HandIn
}

/** Why the host does not begin to close; the courier mends it and closes again. */
const REFUSALS: readonly string[] = ['BUSY', 'NO_OPERATOR', 'NO_ROUND', 'RATE_LIMITED']
/** The name of a round in totals where the terminal has none open. */
const NO_ROUND = '-'

export function countStops(round: Round): Record<StopState, number> {
  const counts = { open: 0, delivered: 0, refused: 0, notAtHome: 0, partlyAccepted: 0 }
  for (const { state } of round.stops()) counts[state]++
  return counts
}

/** Sales less voids, by tender, in minor units. */
function sums(totals: RoundTotals) {
  return totals.tenders.map(({ tender, currency, sales, salesMinor, voids, voidsMinor }) => ({
    tender,
    count: sales - voids,
    amount: { minor: (BigInt(salesMinor) - BigInt(voidsMinor)).toString(), currency },
  }))
}

/** What the parcels say was collected, beside what the terminal took: a difference is named, never smoothed over. */
export function differences(round: Round, totals: RoundTotals, ui: Pick<Ui, 'texts'>): string[] {
  const { t, money } = ui.texts()
  const told = new Map<string, bigint>()
  const taken = new Map<string, bigint>()
  for (const { paid } of round.stops())
    if (paid)
      told.set(paid.amount.currency, (told.get(paid.amount.currency) ?? 0n) + BigInt(paid.amount.minor))
  for (const { amount } of sums(totals)) taken.set(amount.currency, BigInt(amount.minor))
  const found: string[] = []
  for (const currency of new Set([...taken.keys(), ...told.keys()])) {
    const parcels = told.get(currency) ?? 0n
    const terminal = taken.get(currency) ?? 0n
    if (parcels === terminal) continue
    const inWords = (minor: bigint) => money({ minor: minor.toString(), currency })
    found.push(t('end.difference.parcels', { parcels: inWords(parcels), taken: inWords(terminal) }))
  }
  return found
}

/** Payments that are not final. */
function unresolvedInWords(totals: RoundTotals, ui: Pick<Ui, 'texts'>): string[] {
  const { t, money } = ui.texts()
  return totals.unresolved.map(({ reference, amount }) =>
    t('end.difference.unresolved', { reference, amount: money(amount) }),
  )
}

/** True when the round was closed and handed in. */
export async function endOfRound(ui: Ui, desk: Desk): Promise<boolean> {
  const { t, money } = ui.texts()
  if (!(await ui.busy(t('checking'), resolveOpen(desk)))) await ui.message(t('end.unsettled'), 'warning')
  const counts = countStops(desk.round)
  const totals = await desk.host['round.totals'](null)
  const named = [...differences(desk.round, totals, ui), ...unresolvedInWords(totals, ui)]
  const shown = await ui.show({
    kind: 'details',
    title: t('end.title'),
    rows: [
      ...STATES.filter((state) => counts[state] > 0 || state === 'delivered').map((state) => ({
        label: clip(t(`state.${state}`), 24),
        value: String(counts[state]),
      })),
      ...sums(totals).map(({ tender, count, amount }) => ({
        label: clip(t(`tender.${tender}`), 24),
        value: t('end.sum', { count, amount: money(amount) }),
      })),
      ...named.map((difference) => ({ label: clip(t('end.difference'), 24), value: clip(difference, 80) })),
    ].slice(0, 20),
    items: [
      { id: 'close', label: t('end.close') },
      { id: 'back', label: t('end.back') },
    ],
  })
  if (shown.type !== 'selected' || shown.id !== 'close') return false
  if (counts.open > 0 && !(await ui.confirm(t('end.open', { count: counts.open })))) return false
  const before: Closing = { totals: { ...totals, payments: [] } }
  await desk.host['storage.set']({ key: 'closing', value: before })
  return goOn(ui, desk, before)
}

/** After a restart: goes on with a hand-in that was cut off. True where there was one and it is done. */
export async function resumeHandIn(ui: Ui, desk: Desk): Promise<boolean> {
  const { value } = await desk.host['storage.get']({ key: 'closing' })
  return value === null || value === undefined ? false : goOn(ui, desk, value as Closing)
}

async function goOn(ui: Ui, desk: Desk, closing: Closing): Promise<boolean> {
  const { t } = ui.texts()
  let { message } = closing
  if (message === undefined) {
    let close: RoundClose
    try {
      close = await ui.busy(t('end.comparing'), closeRound(ui, desk, closing.totals))
    } catch (error) {
      // Refused, so nothing was closed. After anything else it is not known, and is gone on with later.
      if (error instanceof RpcError && REFUSALS.includes(error.code))
        await desk.host['storage.delete']({ key: 'closing' })
      await ui.fault(error)
      return false
    }
    message = handInOf(ui, desk, close)
    await desk.host['storage.set']({ key: 'closing', value: { ...closing, message } })
  }
  // Kept for the depot's counter, where the slip may be asked for again.
  await desk.host['storage.set']({ key: 'last-hand-in', value: message })
  await desk.host['messages.publish']({ topic: 'hand-in', payload: message })
  await printHandIn(ui, desk, message)
  await desk.round.handedIn()
  await desk.host['storage.delete']({ key: 'closing' })
  const isClean = message.agreement === 'agrees' && message.differences.length === 0
  await ui.message(t(`end.${message.agreement}`), isClean ? 'success' : 'warning', t('end.title'))
  return true
}

/** Closes the terminal's round, unless that happened before we were cut off and a new one stands open already. */
async function closeRound(ui: Ui, { host }: Desk, before: RoundTotals): Promise<RoundClose> {
  const unresolved = unresolvedInWords(before, ui)
  const notCompared: RoundClose = { totals: before, agreement: 'notCompared', differences: unresolved }
  const { round } = await host['round.totals'](null)
  if (before.round === NO_ROUND || (round !== before.round && round !== NO_ROUND)) return notCompared
  const close = await host['round.close'](null)
  return close.totals.round === before.round ? close : notCompared
}

/** The depot's round that is handed in: that of what was finished, though a later one may have come meanwhile. */
function roundOf(round: Round): string {
  const finished = round.stops().find(({ state }) => state !== 'open')
  return finished?.round ?? round.head()?.round ?? 'none'
}

function handInOf(ui: Ui, desk: Desk, close: RoundClose): HandIn {
  // The terminal's own words name what is not settled and what the acquirer counts differently.
  const named = [...differences(desk.round, close.totals, ui), ...close.differences]
  return {
    round: roundOf(desk.round),
    operator: desk.operator() ?? '0',
    at: desk.now(),
    counts: countStops(desk.round),
    tenders: sums(close.totals),
    agreement: close.agreement,
    differences: [...new Set(named)].slice(0, 50).map((difference) => clip(difference, 200)),
  }
}

const printHandIn = (ui: Ui, desk: Desk, message: HandIn) =>
  print(ui, desk, () => desk.host['printer.print']({ blocks: handInPaper(ui.texts(), message) }))

/** Prints the slip of the last hand-in again; says so where there was none. */
export async function printLastHandIn(ui: Ui, desk: Desk): Promise<void> {
  const { value } = await desk.host['storage.get']({ key: 'last-hand-in' })
  if (value === null || value === undefined) await ui.message(ui.texts().t('slip.none'))
  else await printHandIn(ui, desk, value as HandIn)
}
