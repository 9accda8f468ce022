// How the page sorts the deck: cards of every day, cards that bring trouble, cards that attack the terminal.

export const CARD_GROUPS = ['everyday', 'trouble', 'hostile'] as const
export type CardGroup = (typeof CARD_GROUPS)[number]

/** Cards that end in an approval without ado, best known first; the page shows them in this order. */
const EVERYDAY = [
  'credit-pin',
  'debit-signature',
  'low-value',
  'credit-offline-pin',
  'offline-plain-pin',
  'two-applications',
  'cda',
  'xda',
  't0-credit',
  'chinese',
  'stripe-only',
]
const HOSTILE = /^(hostile-.*|mute)$/

/** The group of a card of the deck. A card that nobody has sorted yet is trouble. */
export function groupOf(id: string): CardGroup {
  if (HOSTILE.test(id)) return 'hostile'
  return EVERYDAY.includes(id) ? 'everyday' : 'trouble'
}

/** The cards with their groups, everyday ones first; within the other groups the deck's order stands. */
export function sorted<C extends { readonly id: string }>(
  cards: readonly C[],
): readonly (C & { readonly group: CardGroup })[] {
  const place = ({ id, group }: { id: string; group: CardGroup }) =>
    CARD_GROUPS.indexOf(group) * EVERYDAY.length + Math.max(0, EVERYDAY.indexOf(id))
  return cards
    .map((card) => ({ ...card, group: groupOf(card.id) }))
    .sort((one, other) => place(one) - place(other))
}
