// What the secure world makes of its board: the screens, the card transactions, the battery in the top row.
import { join } from 'node:path'
import type { Clock, Random } from '../../hal/base/clock.js'
import { PosternError } from '../../hal/base/errors.js'
import type { Log } from '../../hal/base/log.js'
import { type Board, describeProblem } from '../../hal/board.js'
import { watchTroubles } from '../../hal/board-troubles.js'
import type { Indicators } from '../../hal/indicators.js'
import type { CardTransactionFactory } from './card-transaction.js'
import type { EmvConfiguration } from './emv/configuration.js'
import { contactCardTransactions } from './emv/contact-card-transaction.js'
import type { CardKeys } from './keys/terminal-keys.js'
import { createScreenService, type HomeScreen, type ScreenService } from './screens/screen-service.js'
import type { Texts } from './texts.js'
import { openTraceStore } from './trace-store.js'

/** The board, and what every service of it needs. */
export interface BoardNeeds {
  readonly board: Board
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** Without these nobody can be asked and nobody can answer. */
const REQUIRED = ['display', 'keypad'] as const

/** @throws PosternError `BOARD_UNUSABLE` without display or keypad, naming what is wrong with the profile */
export function openScreens(
  { board, clock, log }: BoardNeeds,
  texts: Texts,
  onMenuKey: () => void,
): ScreenService {
  const display = board.device('display')
  const keypad = board.device('keypad')
  if (display === undefined || keypad === undefined) {
    const missing = REQUIRED.filter((each) => board.device(each) === undefined).join(' and ')
    const why = board.problems.map(describeProblem).join('; ') || 'the profile names none'
    throw new PosternError('BOARD_UNUSABLE', `no ${missing}: ${why}`)
  }
  const indicators = board.device('indicators') ?? noIndicators
  return createScreenService({ display, keypad, indicators, clock, log, texts, onMenuKey })
}

/** In the place of lights and tones on a board that has none. */
export const noIndicators: Pick<Indicators, 'capabilities' | 'light' | 'tone'> = {
  capabilities: { lights: [], tones: false },
  light: () => Promise.resolve(),
  tone: () => Promise.resolve(),
}

export interface Home {
  show(title: string, state: HomeScreen['state']): void
  /** What of the open world's devices does not work. */
  openTroubles(lines: readonly string[]): void
  close(): void
}

/** The home screen; what does not work stands under it, and what whoever started us wants to be seen. */
export function createHome(
  { board }: Pick<BoardNeeds, 'board'>,
  screens: ScreenService,
  note?: string,
): Home {
  let shown: Pick<HomeScreen, 'title' | 'state'> = { title: 'Postern', state: 'starting' }
  let ours: readonly string[] = []
  let others: readonly string[] = []
  const redraw = () =>
    screens.setHome({ ...shown, notes: [...(note === undefined ? [] : [note]), ...ours, ...others] })
  const close = watchTroubles(board.devices, board.problems, (lines) => {
    ours = lines
    redraw()
  })
  return {
    show(title, state) {
      shown = { title, state }
      redraw()
    },
    openTroubles(lines) {
      if (JSON.stringify(lines) === JSON.stringify(others)) return
      others = lines
      redraw()
    },
    close,
  }
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
