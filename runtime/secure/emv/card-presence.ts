// Getting a chip that answers: prompt, wait, power on, another try after a mute card (EMV Book 4 v4.4, 6.2 and 11.1).
import { isPosternError } from '../../../hal/base/errors.js'
import type { Money } from '../../../hal/base/money.js'
import type { ChipCardReader, ChipCardSession } from '../../../hal/chip-card-reader.js'
import type { CardPrompts } from '../card-transaction.js'
import { checkAtr } from './atr.js'
import { type CardEnd, ends } from './card-end.js'

/** A card may be mute this often, wiped and turned round in between, before the payment ends. */
const MAX_MUTE = 3
/** And be put in this often altogether: a slot that bounces for ever is no card. */
const MAX_INSERTIONS = 20

/** Asks for the card until one answers to reset, the person cancels, time is over, or three were mute. */
export async function awaitCard(
  reader: ChipCardReader,
  prompts: CardPrompts,
  amount: Money,
  signal: AbortSignal,
): Promise<ChipCardSession | CardEnd> {
  let mute = 0
  for (let insertion = 0; insertion < MAX_INSERTIONS; insertion++) {
    const waited = await waitForInsertion(reader, prompts, amount, signal)
    if (waited) return waited
    prompts.busy('reading')
    const power = await reader.powerOn(signal)
    switch (power.kind) {
      case 'session':
        if (checkAtr(power.session.atr).kind === 'emv') return power.session
        await power.session.release()
        break
      case 'mute':
        break
      case 'removed':
        continue
    }
    if (++mute === MAX_MUTE) break
    const given = await promptUntilRemoved(reader, prompts, signal)
    if (given) return given
  }
  return ends('mute', 'no chip that answers to reset as EMV asks')
}

/** Resolves with an end where the person gave up first. */
async function waitForInsertion(
  reader: ChipCardReader,
  prompts: CardPrompts,
  amount: Money,
  signal: AbortSignal,
): Promise<CardEnd | undefined> {
  const over = new AbortController()
  const both = AbortSignal.any([signal, over.signal])
  const prompt = prompts.presentCard(amount, both).then((why) => ends(why, 'no card was presented'))
  const inserted = reader.waitForCard(both).then(() => undefined)
  return raceAndStop([inserted, prompt], over)
}

/** Resolves with an end where the person gave up; else the card was taken out, or is to be tried again as it is. */
async function promptUntilRemoved(
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
