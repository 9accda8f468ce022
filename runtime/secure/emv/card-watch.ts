// A card that is pulled while people are asked: the prompt goes, and the payment ends as removed (EMV Book 4 v4.4, 6.6.1).
import type { ChipCardReader } from '../../../hal/chip-card-reader.js'
import { type CardEnd, ends, isEnd } from './card-end.js'
import { isAborted } from './card-presence.js'

/** Runs the kernel while watching the slot. `run` gets a signal that ends with the card, and may ask what ended it. */
export async function whileCardIsIn<T>(
  reader: ChipCardReader,
  signal: AbortSignal,
  run: (both: AbortSignal, wasRemoved: () => boolean) => Promise<T | CardEnd>,
): Promise<T | CardEnd> {
  const pulled = new AbortController()
  const over = new AbortController()
  let removed = false
  const watch = reader.waitForRemoval(AbortSignal.any([signal, over.signal])).then(
    () => {
      removed = true
      pulled.abort()
    },
    // Aborted, or the reader is lost: then the next command says so.
    () => undefined,
  )
  try {
    const result = await run(AbortSignal.any([signal, pulled.signal]), () => removed)
    return removed && isEnd(result) ? ends('removed', result.rule) : result
  } catch (error) {
    if (removed && !signal.aborted && isAborted(error)) return ends('removed', 'card left during a prompt')
    throw error
  } finally {
    over.abort()
    await watch
  }
}
