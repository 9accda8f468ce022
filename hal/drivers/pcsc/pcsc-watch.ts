// Which reader is ours: the daemon watched for as long as we live, readers that come and go, one of the wanted name.
import type { Clock } from '../../base/clock.js'
import type { PcscBinding, PcscReader } from './pcsc-binding.js'
import { describeWanted, isWanted, type WantedReader } from './reader-name.js'

export interface ReaderWatchEvents {
  /** State bits and ATR of the reader that was chosen; the last known ones as soon as it is chosen. */
  state(reader: PcscReader, bits: number, atr: Uint8Array): void
  /** There is no such reader now, and why. */
  missing(detail: string): void
  /** The device closes: the reader is closed once this resolves. */
  beforeClose(reader: PcscReader): Promise<void>
}

export interface ReaderWatch {
  /** The reader of the wanted name, if it is there. */
  current(): PcscReader | undefined
  /** Resolves when it is known whether the reader is there, within about two seconds. */
  readonly firstLook: Promise<void>
  /** Resolves when everything is closed, after `closing` has fired. */
  readonly over: Promise<void>
}

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 2000
/** The daemon lists its readers right after the watch begins; a busy machine takes its time. */
const LIST_MS = 1500
/** How long a reader may take to tell its first state; one that has not can't be closed without blocking. */
const FIRST_STATE_MS = 1000

/** Watches for the wanted reader, the first of them by name. */
export function watchReaders(
  binding: PcscBinding,
  wanted: WantedReader,
  clock: Clock,
  closing: AbortSignal,
  events: ReaderWatchEvents,
): ReaderWatch {
  /** Readers with what they last told; undefined until their first state. */
  const readers = new Map<PcscReader, { bits: number; atr: Uint8Array } | undefined>()
  let current: PcscReader | undefined
  let told: string | undefined
  let looked: () => void = () => undefined
  const firstLook = new Promise<void>((resolve) => {
    looked = resolve
  })

  function missing(detail: string): void {
    current = undefined
    if (detail !== told) events.missing(detail)
    told = detail
    looked()
  }

  function tell(reader: PcscReader): void {
    const known = readers.get(reader)
    if (known === undefined) return
    told = undefined
    events.state(reader, known.bits, known.atr)
    looked()
  }

  /** Takes a reader of the wanted name, where none is in use. True where there is one. */
  function choose(): boolean {
    if (current !== undefined) return true
    current = [...readers.keys()]
      .filter(({ name }) => isWanted(name, wanted))
      .sort((a, b) => (a.name < b.name ? -1 : 1))[0]
    if (current !== undefined) tell(current)
    return current !== undefined
  }

  function none(): string {
    const names = [...readers.keys()].map(({ name }) => name).join(', ') || 'none'
    return wanted.reader === undefined && wanted.slot === undefined
      ? 'no PC/SC reader is attached'
      : `no reader is called ${describeWanted(wanted)}; attached: ${names}`
  }

  async function closeAll(): Promise<void> {
    if (current !== undefined) await events.beforeClose(current)
    const until = clock.monotonicMs() + FIRST_STATE_MS
    while ([...readers.values()].includes(undefined) && clock.monotonicMs() < until) await clock.sleep(10)
    for (const [reader, known] of readers) if (known !== undefined) reader.close()
  }

  /** One life of the daemon: until it goes or the device closes. */
  async function live(): Promise<void> {
    await binding.probe()
    let end: (reason: string | undefined) => void = () => undefined
    const over = new Promise<string | undefined>((resolve) => {
      end = resolve
    })
    const stop = binding.watch({
      reader(reader) {
        readers.set(reader, undefined)
        choose()
      },
      state(reader, bits, atr) {
        readers.set(reader, { bits, atr })
        if (reader === current) tell(reader)
      },
      readerGone(reader) {
        readers.delete(reader)
        if (reader !== current) return
        missing(`${reader.name} was unplugged`)
        choose()
      },
      failed: (reason) => end(reason),
    })
    // A daemon without readers says nothing: the status must.
    const listed = clock.sleep(LIST_MS, closing).then(
      () => {
        if (!choose()) missing(none())
      },
      () => undefined,
    )
    const onClosing = () => end(undefined)
    closing.addEventListener('abort', onClosing, { once: true })
    const reason = await over
    closing.removeEventListener('abort', onClosing)
    if (reason === undefined) await closeAll()
    readers.clear()
    stop()
    if (reason !== undefined) missing(reason)
    await listed
  }

  async function keepLiving(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS
    while (!closing.aborted) {
      try {
        await live()
        pauseMs = FIRST_PAUSE_MS
      } catch (error) {
        missing((error as Error).message)
      }
      await clock.sleep(pauseMs, closing).catch(() => undefined)
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)
    }
  }
  return { current: () => current, firstLook, over: keepLiving() }
}
