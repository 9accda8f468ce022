// Statistics of a device: counters with the names of UnifiedPOS 1.16, appendix on device statistics, that outlive a restart.
import type { Clock } from './base/clock.js'
import type { DeviceClass, Statistics } from './device.js'

/** Where counters rest between runs. `load` is asked once, when the device opens. */
export interface StatisticsStore {
  load(deviceId: string): Statistics | undefined
  /** Called at most once a minute and at close. A failure to save is the store's to report; it stops no device. */
  save(deviceId: string, statistics: Statistics): void
}

/** Counters that every class keeps. */
const COMMON = ['HoursPoweredCount', 'CommunicationErrorCount'] as const

/**
 * The counters of each class. Names are those of UnifiedPOS where it has the class; NOTE: contactless, power, tamper,
 * secure element and fiscal signer are no UnifiedPOS classes with statistics, their names follow its pattern.
 */
export const COUNTERS = {
  'chip-card-reader': ['GoodReadCount', 'FailedReadCount', 'CardInsertionCount', 'CommandCount'],
  'contactless-reader': ['GoodReadCount', 'FailedReadCount', 'CollisionCount', 'CommandCount'],
  'magnetic-stripe-reader': ['GoodReadCount', 'FailedReadCount', 'UnreadableCardCount', 'DroppedReadCount'],
  keypad: ['KeyPressedCount', 'GhostKeyCount', 'BounceCount'],
  display: ['OnlineTransitionCount', 'FrameCount', 'PixelCount'],
  printer: [
    'ReceiptLinePrintedCount',
    'ReceiptCharacterPrintedCount',
    'PaperCutCount',
    'BarcodePrintedCount',
    'ReceiptCoverOpenCount',
    'PrinterFaultCount',
    'MaximumTempReachedCount',
    'JobCount',
    'InterruptedJobCount',
  ],
  scanner: ['GoodScanCount', 'DroppedScanCount'],
  indicators: ['ToneSoundedCount', 'LightChangeCount'],
  power: ['LowBatteryCount', 'CriticalBatteryCount', 'SourceTransitionCount'],
  'signature-pad': ['GoodSignatureReadCount', 'FailedSignatureReadCount'],
  tamper: ['TamperCount'],
  'secure-element': ['SealCount', 'UnsealCount', 'RefusedUnsealCount', 'IncrementCount'],
  'fiscal-signer': ['SignatureCount'],
} as const satisfies Record<DeviceClass, readonly string[]>

/** A counter of one class, or one that every class has. */
export type CounterName<C extends DeviceClass> = (typeof COUNTERS)[C][number] | (typeof COMMON)[number]

export interface Counters<C extends DeviceClass> {
  /** Counts upwards; negative or fractional steps are ignored. */
  count(name: CounterName<C>, by?: number): void
  /** Every counter of the class, zero included. `HoursPoweredCount` is in hours, to four decimals. */
  snapshot(): Statistics
  /** Gives the store the last counts and stops saving. */
  close(): void
}

const SAVE_EVERY_MS = 60_000

/** Counters of one device, continued from what the store kept. */
export function createCounters<C extends DeviceClass>(
  deviceId: string,
  deviceClass: C,
  clock: Clock,
  store?: StatisticsStore,
): Counters<C> {
  const kept = store?.load(deviceId) ?? {}
  const names: readonly string[] = [...COMMON, ...COUNTERS[deviceClass]]
  const counts = new Map(names.map((name) => [name, sane(kept[name])]))
  const sinceMs = clock.monotonicMs()
  let savedMs = sinceMs

  const snapshot = (): Statistics => {
    const hours = counts.get('HoursPoweredCount')! + (clock.monotonicMs() - sinceMs) / 3_600_000
    return { ...Object.fromEntries(counts), HoursPoweredCount: Math.floor(hours * 10_000) / 10_000 }
  }
  return {
    count(name, by = 1) {
      if (Number.isSafeInteger(by) && by > 0) counts.set(name, (counts.get(name) ?? 0) + by)
      if (store !== undefined && clock.monotonicMs() - savedMs >= SAVE_EVERY_MS) {
        savedMs = clock.monotonicMs()
        store.save(deviceId, snapshot())
      }
    },
    snapshot,
    close: () => store?.save(deviceId, snapshot()),
  }
}

function sane(value: number | undefined): number {
  return value !== undefined && Number.isFinite(value) && value >= 0 ? value : 0
}
