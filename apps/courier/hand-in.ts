// The slip that is handed in and countersigned by the depot, as data for the printer.
import type { PrintBlock } from '../../runtime/api/print-document.js'
import type { HandIn } from './messages.js'
import type { StopState } from './round.js'
import { clip, type Texts } from './texts.js'

/** The ways a stop can stand, in the order in which they are counted. */
export const STATES: readonly StopState[] = ['delivered', 'partlyAccepted', 'refused', 'notAtHome', 'open']

/** Local time as on a receipt. */
function stamp(atMs: number): string {
  const at = new Date(atMs)
  const two = (value: number) => String(value).padStart(2, '0')
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`
}

/** The paper of a hand-in, in the courier's language. */
export function handInPaper({ t, money }: Texts, message: HandIn): PrintBlock[] {
  const row = (left: string, right: string): PrintBlock => ({
    kind: 'row',
    left: clip(left, 80),
    right: clip(right, 80),
  })
  const signature = (text: string): PrintBlock[] => [
    { kind: 'text', text },
    { kind: 'feed', lines: 2 },
    { kind: 'text', text: '______________________________' },
  ]
  return [
    { kind: 'text', text: t('end.paper.title'), align: 'center', bold: true, large: true },
    row(t('end.paper.round'), message.round),
    row(t('end.paper.operator'), message.operator),
    row(t('end.paper.at'), stamp(message.at)),
    { kind: 'rule' },
    ...STATES.map((state) => row(t(`state.${state}`), String(message.counts[state]))),
    { kind: 'rule' },
    ...message.tenders.map(({ tender, count, amount }) =>
      row(`${t(`tender.${tender}`)} (${count})`, money(amount)),
    ),
    row(t('end.paper.compared'), t(`end.paper.${message.agreement}`)),
    ...message.differences.map((difference): PrintBlock => ({ kind: 'text', text: `! ${difference}` })),
    { kind: 'rule' },
    ...signature(t('end.paper.courier')),
    ...signature(t('end.paper.depot')),
    { kind: 'feed', lines: 3 },
  ]
}
