// An input device (/dev/input/event*) that is kept open: found, grabbed, read in reports, found again when it comes back.
import type { Clock } from '../../base/clock.js'
import { isPosternError } from '../../base/errors.js'
import { deviceError } from '../../device-base.js'
import { type DeviceFile, type FileCalls, loadFileCalls, openDeviceFile } from '../device-file.js'
import { describeMatch, type EvdevInfo, type EvdevMatch, type EvdevRoots, findEvdev } from './find-device.js'
import {
  type AxisInfo,
  CLOCK_MONOTONIC,
  EV_SYN,
  EVENT_BYTES,
  EVIOCGKEY,
  EVIOCGRAB,
  EVIOCSCLOCKID,
  eviocgabs,
  type InputEvent,
  KEY_BITS_BYTES,
  readAxisInfo,
  readInputEvent,
  SYN_DROPPED,
  SYN_REPORT,
} from './input-event.js'

const FIRST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 2000
/** Events read at once, and the most that one report may hold. */
const READ_EVENTS = 64
const MAX_REPORT = 512

export interface EvdevOptions {
  readonly match: EvdevMatch
  /** Key codes that the device has to be able to send, where /sys says what it can. */
  readonly needs?: readonly number[]
  /** Nobody else gets its events, the console's keyboard layer included. Default true. */
  readonly grab?: boolean
  readonly roots?: EvdevRoots
  /** The machine's calls unless a test has its own. */
  readonly calls?: FileCalls
}

/** The device while it is there. */
export interface EvdevDevice {
  readonly info: EvdevInfo
  /** Range of an absolute axis (`ABS_X`…), undefined where it has none. */
  axis(code: number): AxisInfo | undefined
  /** Codes of the keys that are down now; none where the device can't say. */
  held(): readonly number[]
}

export interface EvdevListener {
  up(device: EvdevDevice): void
  /** One report: all that changed at once, without the SYN_REPORT that ended it. */
  report(events: readonly InputEvent[]): void
  /** Events were lost; whatever was held down counts as let go. */
  dropped(): void
  /** The device went, or can't be had; called for the first failure of a row and when the reason changes. */
  down(reason: string): void
}

/**
 * Keeps the device open until `signal` fires; resolves when it is closed. Looks again after at most 2 s while it is
 * not there. A key that was held when the device opened sends no press: the kernel tells changes only.
 */
export async function keepEvdevOpen(
  options: EvdevOptions,
  clock: Clock,
  signal: AbortSignal,
  listener: EvdevListener,
): Promise<void> {
  let pauseMs = FIRST_PAUSE_MS
  let told: string | undefined
  const tell = (reason: string) => {
    if (reason !== told) listener.down(reason)
    told = reason
  }
  while (!signal.aborted) {
    let file: DeviceFile | undefined
    try {
      const calls = options.calls ?? (await loadFileCalls())
      const info = findEvdev(options.match, options.needs, options.roots)
      if (info === undefined) {
        throw deviceError('DEVICE_LOST', `no input device with ${describeMatch(options.match)}`)
      }
      file = openInput(info, options, calls)
      const reading = readUntilLost(file, signal, listener)
      pauseMs = FIRST_PAUSE_MS
      told = undefined
      const opened = file
      listener.up({ info, axis: (code) => axisOf(opened, code), held: () => heldOn(opened) })
      tell(await reading)
    } catch (error) {
      tell((error as Error).message)
    }
    file?.close()
    await clock.sleep(pauseMs, signal).catch(() => undefined)
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)
  }
}

function openInput(info: EvdevInfo, { grab = true }: EvdevOptions, calls: FileCalls): DeviceFile {
  const file = openDeviceFile(info.path, calls)
  try {
    const clockId = Buffer.alloc(4)
    clockId.writeInt32LE(CLOCK_MONOTONIC)
    try {
      file.ioctl(EVIOCSCLOCKID, clockId)
      // The grab belongs to the descriptor: a process that crashes leaves none behind.
      if (grab) file.ioctl(EVIOCGRAB, 1)
    } catch (error) {
      // What is no input device (a FIFO with the same structs) has nobody to be kept from.
      if ((error as NodeJS.ErrnoException).code !== 'ENOTTY') throw error
    }
    // What came before the grab is an old story, and may be half of one.
    while (file.read(new Uint8Array(READ_EVENTS * EVENT_BYTES)) === READ_EVENTS * EVENT_BYTES);
    return file
  } catch (error) {
    file.close()
    if ((error as NodeJS.ErrnoException).code === 'EBUSY') {
      throw deviceError(
        'DEVICE_BUSY',
        `${info.path} is grabbed by another program`,
        { path: info.path },
        error,
      )
    }
    throw error
  }
}

function axisOf(file: DeviceFile, code: number): AxisInfo | undefined {
  try {
    const bytes = Buffer.alloc(24)
    file.ioctl(eviocgabs(code), bytes)
    return readAxisInfo(bytes)
  } catch {
    return undefined
  }
}

function heldOn(file: DeviceFile): readonly number[] {
  const bits = Buffer.alloc(KEY_BITS_BYTES)
  try {
    file.ioctl(EVIOCGKEY, bits)
  } catch {
    return []
  }
  return Array.from({ length: KEY_BITS_BYTES * 8 }, (_, code) => code).filter(
    (code) => ((bits[code >> 3]! >> (code & 7)) & 1) === 1,
  )
}

/** Resolves with why the device can't be read any more. */
function readUntilLost(file: DeviceFile, signal: AbortSignal, listener: EvdevListener): Promise<string> {
  const buffer = new Uint8Array(READ_EVENTS * EVENT_BYTES)
  const view = new DataView(buffer.buffer)
  let report: InputEvent[] = []
  /** Events up to the next SYN_REPORT are of no use. */
  let dropping = false
  let kept = 0

  const take = (event: InputEvent) => {
    if (event.type === EV_SYN && event.code === SYN_DROPPED) {
      report = []
      dropping = true
      listener.dropped()
    } else if (event.type === EV_SYN && event.code === SYN_REPORT) {
      const whole = report
      report = []
      if (!dropping && whole.length > 0) listener.report(whole)
      dropping = false
    } else if (!dropping) {
      report.push(event)
      if (report.length > MAX_REPORT) {
        report = []
        dropping = true
        listener.dropped()
      }
    }
  }
  return new Promise<string>((resolve) => {
    const drain = () => {
      if (signal.aborted) return
      try {
        const length = file.read(buffer.subarray(kept)) + kept
        const whole = length - (length % EVENT_BYTES)
        const events: InputEvent[] = []
        for (let at = 0; at < whole; at += EVENT_BYTES) events.push(readInputEvent(view, at))
        buffer.copyWithin(0, whole, length)
        kept = length - whole
        // What was typed may be a PIN.
        buffer.fill(0, kept)
        for (const event of events) {
          if (signal.aborted) return
          take(event)
        }
      } catch (error) {
        resolve(isPosternError(error) ? error.message : String(error))
      }
    }
    signal.addEventListener('abort', () => resolve('closed'), { once: true })
    file.onReadable(drain)
  })
}
