// What the secure world makes of its board: the screens, the card transactions, the battery in the top row.
import { join } from 'node:path'
import type { Clock, Random } from '../../hal/base/clock.js'
import { PosternError } from '../../hal/base/errors.js'
import type { Log } from '../../hal/base/log.js'
import type { Board } from '../../hal/board.js'
import type { CardTransactionFactory } from './card-transaction.js'
import type { EmvConfiguration } from './emv/configuration.js'
import { contactCardTransactions } from './emv/contact-card-transaction.js'
import type { CardKeys } from './keys/terminal-keys.js'
import { createScreenService, type ScreenService } from './screens/screen-service.js'
import type { Texts } from './texts.js'
import { openTraceStore } from './trace-store.js'

/** The board, and what every service of it needs. */
export interface BoardNeeds {
  readonly board: Board
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** @throws PosternError `BOARD_UNUSABLE` without display, keypad or lights */
export function openScreens(
  { board, clock, log }: BoardNeeds,
  texts: Texts,
  onMenuKey: () => void,
): ScreenService {
  const display = board.device('display')
  const keypad = board.device('keypad')
  const indicators = board.device('indicators')
  if (display === undefined || keypad === undefined || indicators === undefined) {
    const why = board.problems.map(({ key, allowed }) => `${key}: ${allowed}`).join('; ')
    throw new PosternError('BOARD_UNUSABLE', `a terminal needs display, keypad and lights. ${why}`)
  }
  return createScreenService({ display, keypad, indicators, clock, log, texts, onMenuKey })
}

/** Card transactions by our own reader and kernel; their traces go below `dataDir`. */
export function boardCardTransactions(
  { board, clock, random, log }: BoardNeeds,
  dataDir: string,
  keys: CardKeys,
  configuration: () => EmvConfiguration,
): CardTransactionFactory {
  const reader = board.device('chip-card-reader')
  if (reader === undefined) {
    // The terminal starts with what works; a card payment then says what is missing.
    return () => {
      throw new PosternError('DEVICE_LOST', 'this board has no chip card reader that works')
    }
  }
  const stripeReader = board.device('magnetic-stripe-reader')
  const traces = openTraceStore(join(dataDir, 'traces'))
  return contactCardTransactions({
    reader,
    stripeReader,
    keys,
    configuration,
    clock,
    random,
    log,
    keepTrace: (trace) => traces.keep(trace),
  })
}

/** Shows the battery in the top row from now on. */
export function followPower({ board }: Pick<BoardNeeds, 'board'>, screens: ScreenService): void {
  const power = board.device('power')
  if (power === undefined) return
  const show = () => {
    const { percent, source } = power.reading()
    screens.setStatus({ battery: { percent, charging: source === 'external' } })
  }
  power.on(show)
  show()
}
