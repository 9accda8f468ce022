// Getting a card: prompt, wait, power on, another try after a failed read, or a swipe (EMV Book 4 v4.4, 6.6 and 11.2).
import { isPosternError } from '../../../hal/base/errors.js'
import type { Money } from '../../../hal/base/money.js'
import type { ChipCardReader, ChipCardSession } from '../../../hal/chip-card-reader.js'
import type { MagneticStripeReader, Swipe } from '../../../hal/magnetic-stripe-reader.js'
import type { CardPrompts } from '../card-transaction.js'
import { checkAtr } from './atr.js'
import { type CardEnd, ends, isEnd } from './card-end.js'
import { eraseSwipe } from './track2.js'

/** A card may be mute this often, wiped and turned round in between, before the payment ends. */
const MAX_MUTE = 3
/** A stripe may be unreadable this often. */
const MAX_BAD_SWIPES = 5
/** And cards be put in or swiped this often altogether: a slot that bounces for ever is no card. */
const MAX_TURNS = 20

/** What a swipe comes to: a card to go on with, another prompt, or the end. */
export type SwipeVerdict<S> =
  | { readonly kind: 'stripe'; readonly stripe: S }
  | { readonly kind: 'unreadable' }
  | { readonly kind: 'insertChip' }
  | CardEnd

/** The stripe beside the chip: its reader, and who decides what counts. */
export interface StripeSlot<S> {
  readonly reader: MagneticStripeReader
  /** Mute chips are tried at least so often. */
  readonly failedChipReads: number
  /** A chip was mute; true where the person is asked to swipe from now on. */
  chipFailed(): boolean
  /** The tracks are erased by the caller afterwards. */
  judge(swipe: Swipe): SwipeVerdict<S>
}

export interface Presence<S> {
  readonly reader: ChipCardReader
  readonly prompts: CardPrompts
  readonly amount: Money
  readonly stripe: StripeSlot<S> | undefined
}

type Ask = 'insert' | 'useStripe' | 'swipeAgain' | 'useChip'
type Event = { readonly kind: 'inserted' } | { readonly kind: 'swiped'; readonly swipe: Swipe } | CardEnd

/**
 * Asks for the card until a chip answers to reset or a stripe counts, the person cancels, time is over, or nothing could
 * be read. `given`: the chip was given up before, so that it is the stripe that is asked for, the card still being in.
 */
export async function awaitCard<S>(
  presence: Presence<S>,
  given: 'chip' | 'stripe',
  signal: AbortSignal,
): Promise<{ kind: 'chip'; session: ChipCardSession } | { kind: 'stripe'; stripe: S } | CardEnd> {
  const { reader, prompts, stripe } = presence
  let ask: Ask = given === 'chip' ? 'insert' : 'useStripe'
  let cardIsIn = given === 'stripe'
  const maxMute = Math.max(MAX_MUTE, stripe?.failedChipReads ?? 0)
  let mute = 0
  let badSwipes = 0
  for (let turn = 0; turn < MAX_TURNS; turn++) {
    const event = await nextEvent(presence, ask, cardIsIn, signal)
    cardIsIn = false
    switch (event.kind) {
      case 'end':
        return event
      case 'swiped': {
        const verdict = stripe!.judge(event.swipe)
        eraseSwipe(event.swipe)
        if (verdict.kind === 'stripe' || isEnd(verdict)) return verdict
        if (verdict.kind === 'insertChip') ask = 'useChip'
        else if (++badSwipes === MAX_BAD_SWIPES) return ends('stripeUnreadable', 'no swipe could be read')
        else ask = 'swipeAgain'
        continue
      }
      case 'inserted':
        break
    }
    prompts.busy('reading')
    const power = await reader.powerOn(signal)
    if (power.kind === 'removed') continue
    if (power.kind === 'session') {
      if (checkAtr(power.session.atr).kind === 'emv') return { kind: 'chip', session: power.session }
      await power.session.release()
    }
    mute++
    if (stripe?.chipFailed()) {
      ask = 'useStripe'
      cardIsIn = true
      continue
    }
    if (mute >= maxMute) break
    const gaveUp = await promptUntilRemoved(reader, prompts, signal)
    if (gaveUp) return gaveUp
    ask = 'insert'
  }
  return ends('mute', 'no chip that answers to reset as EMV asks')
}

/** A card put in, a swipe, or the end where the person gave up first. */
async function nextEvent<S>(
  { reader, prompts, amount, stripe }: Presence<S>,
  ask: Ask,
  cardIsIn: boolean,
  signal: AbortSignal,
): Promise<Event> {
  const over = new AbortController()
  const both = AbortSignal.any([signal, over.signal])
  const shown = {
    insert: () => prompts.presentCard(amount, both),
    useStripe: () => prompts.useStripe(amount, false, both),
    swipeAgain: () => prompts.useStripe(amount, true, both),
    useChip: () => prompts.useChip(amount, both),
  }[ask]()
  const prompt = shown.then((why) => ends(why, 'no card was presented'))
  // A card that could not be read is still in: it counts again once it was out.
  const empty = cardIsIn ? reader.waitForRemoval(both) : Promise.resolve()
  const inserted = empty.then(() => reader.waitForCard(both)).then(() => ({ kind: 'inserted' }) as const)
  if (!stripe) return raceAndStop<Event>([inserted, prompt], over)
  const swiped = stripe.reader.swipe(both).then(
    (swipe) => ({ kind: 'swiped', swipe }) as const,
    // A stripe reader that is lost must not take the chip with it.
    () => whenOver(both),
  )
  const event = await raceAndStop<Event>([inserted, swiped, prompt], over)
  // A swipe that came as the card was put in goes nowhere.
  if (event.kind !== 'swiped') void swiped.then((late) => late.kind === 'swiped' && eraseSwipe(late.swipe))
  return event
}

const whenOver = (signal: AbortSignal): Promise<CardEnd> =>
  new Promise((resolve) => {
    const over = () => resolve(ends('cancelled', 'nobody waits for a swipe any more'))
    if (signal.aborted) over()
    else signal.addEventListener('abort', over, { once: true })
  })

/** Resolves with an end where the person gave up; else the card was taken out, or is to be tried again as it is. */
export async function promptUntilRemoved(
  reader: ChipCardReader,
  prompts: CardPrompts,
  signal: AbortSignal,
): Promise<CardEnd | undefined> {
  const over = new AbortController()
  const both = AbortSignal.any([signal, over.signal])
  const removed = reader.waitForRemoval(both).then(() => undefined)
  return raceAndStop([removed, explain(prompts, both)], over)
}

/** The first to settle decides; the others are aborted and waited for, so that nothing of them comes later. */
export async function raceAndStop<T>(runs: readonly Promise<T>[], over: AbortController): Promise<T> {
  try {
    return await Promise.race(runs)
  } finally {
    over.abort()
    await Promise.allSettled(runs)
  }
}

/** The picture goes by itself after some seconds; it comes back this often while the card stays in. */
const MAX_EXPLANATIONS = 15

async function explain(prompts: CardPrompts, signal: AbortSignal): Promise<CardEnd | undefined> {
  for (let shown = 0; shown < MAX_EXPLANATIONS; shown++) {
    const how = await prompts.cardUnreadable(signal)
    if (how === 'cancelled') return ends('cancelled', 'unreadable card')
    if (how === 'acknowledged' || signal.aborted) return undefined
  }
  return ends('mute', 'an unreadable card stayed in')
}

/** True for the rejection that our own abort brought about. */
export function isAborted(error: unknown): boolean {
  return isPosternError(error, 'ABORTED')
}
