// The end of the round: counts, sums by tender, differences named, and the paper that the depot countersigns.
import type { RoundClose, RoundTotals } from '../../runtime/api/payments.js'
import type { PrintBlock } from '../../runtime/api/print-document.js'
import type { HandIn } from './messages.js'
import { print } from './parcel.js'
import type { Desk } from './payment.js'
import type { Round, StopState } from './round.js'
import type { Ui } from './ui.js'

const STATES: readonly StopState[] = ['delivered', 'partlyAccepted', 'refused', 'notAtHome', 'open']

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
function differences(round: Round, totals: RoundTotals, ui: Ui): string[] {
  const { t, money } = ui.texts()
  const found: string[] = []
  for (const { tender, amount } of sums(totals)) {
    const told = round
      .stops()
      .reduce(
        (sum, stop) =>
          stop.paid?.tender === tender && stop.paid.amount.currency === amount.currency
            ? sum + BigInt(stop.paid.amount.minor)
            : sum,
        0n,
      )
    if (told.toString() !== amount.minor) {
      found.push(
        t('end.difference.parcels', {
          parcels: money({ ...amount, minor: told.toString() }),
          taken: money(amount),
        }),
      )
    }
  }
  for (const { reference, amount } of totals.unresolved)
    found.push(t('end.difference.unresolved', { reference, amount: money(amount) }))
  return found
}

/** True when the round was closed and handed in. */
export async function endOfRound(ui: Ui, desk: Desk): Promise<boolean> {
  const { t, money } = ui.texts()
  const counts = countStops(desk.round)
  const totals = await desk.host['round.totals'](null)
  const named = differences(desk.round, totals, ui)
  const shown = await ui.show({
    kind: 'details',
    title: t('end.title'),
    rows: [
      ...STATES.filter((state) => counts[state] > 0 || state === 'delivered').map((state) => ({
        label: t(`state.${state}`).slice(0, 24),
        value: String(counts[state]),
      })),
      ...sums(totals).map(({ tender, count, amount }) => ({
        label: t(`tender.${tender}`).slice(0, 24),
        value: t('end.sum', { count, amount: money(amount) }),
      })),
      ...named.map((difference) => ({ label: t('end.difference'), value: difference.slice(0, 80) })),
    ].slice(0, 20),
    items: [
      { id: 'close', label: t('end.close') },
      { id: 'back', label: t('end.back') },
    ],
  })
  if (shown.type !== 'selected' || shown.id !== 'close') return false
  if (counts.open > 0 && !(await ui.confirm(t('end.open', { count: counts.open })))) return false
  const close = await ui.busy(t('end.comparing'), desk.host['round.close'](null))
  await handIn(ui, desk, close, [...named, ...close.differences])
  return true
}

async function handIn(ui: Ui, desk: Desk, close: RoundClose, named: readonly string[]): Promise<void> {
  const { t } = ui.texts()
  const counts = countStops(desk.round)
  const message: HandIn = {
    round: desk.round.head()?.round ?? 'none',
    operator: desk.operator(),
    at: desk.now(),
    counts,
    tenders: sums(close.totals),
    agreement: close.agreement,
    differences: named.slice(0, 50).map((difference) => difference.slice(0, 200)),
  }
  await desk.host['messages.publish']({ topic: 'hand-in', payload: message })
  await print(ui, () => desk.host['printer.print']({ blocks: paper(ui, message) }))
  await desk.round.handedIn()
  await ui.message(
    t(`end.${close.agreement}`),
    close.agreement === 'agrees' && named.length === 0 ? 'success' : 'warning',
    t('end.title'),
  )
}

function paper(ui: Ui, message: HandIn): PrintBlock[] {
  const { t, money } = ui.texts()
  const at = new Date(message.at)
  const stamp = `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, '0')}-${String(at.getDate()).padStart(2, '0')} ${String(at.getHours()).padStart(2, '0')}:${String(at.getMinutes()).padStart(2, '0')}`
  const row = (left: string, right: string): PrintBlock => ({ kind: 'row', left, right })
  return [
    { kind: 'text', text: t('end.paper.title'), align: 'center', bold: true, large: true },
    row(t('end.paper.round'), message.round),
    row(t('end.paper.operator'), message.operator),
    row(t('end.paper.at'), stamp),
    { kind: 'rule' },
    ...STATES.map((state) => row(t(`state.${state}`), String(message.counts[state]))),
    { kind: 'rule' },
    ...message.tenders.map(({ tender, count, amount }) =>
      row(`${t(`tender.${tender}`)} (${count})`, money(amount)),
    ),
    row(t('end.paper.compared'), t(`end.paper.${message.agreement}`)),
    ...message.differences.map((difference): PrintBlock => ({ kind: 'text', text: `! ${difference}` })),
    { kind: 'rule' },
    { kind: 'text', text: t('end.paper.courier') },
    { kind: 'feed', lines: 2 },
    { kind: 'text', text: '______________________________' },
    { kind: 'text', text: t('end.paper.depot') },
    { kind: 'feed', lines: 2 },
    { kind: 'text', text: '______________________________' },
    { kind: 'feed', lines: 3 },
  ]
}
