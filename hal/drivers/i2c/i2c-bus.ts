// I2C buses that several devices share: one transfer at a time, devices in turn, bounded retries, typed faults.
import type { Clock } from '../../base/clock.js'
import { isPosternError } from '../../base/errors.js'
import { withinTime } from '../../base/within-time.js'
import { deviceError } from '../../device-base.js'
import { createFairLock, type FairLock, reasonOf } from './fair-lock.js'
import { type I2cBinding, nativeI2c, type OpenI2c, SMBUS_BLOCK } from './i2c-binding.js'
import { i2cFault } from './i2c-errors.js'

/** Pauses before a second and a third try. */
const RETRY_PAUSES_MS = [2, 10] as const
/** A transfer under way can't be taken back; its caller is told after this, the bus stays taken until it ends. */
const TRANSFER_MS = 1000
/** Longest write: what i2c-dev takes at once. */
const PLAIN_WRITE = 8192

/**
 * One device on a bus. Every call is one transfer, tried three times at most; between the transfers of one device the
 * others have their turn. All reject with `ABORTED` or the reason of `signal`, and with `DEVICE_LOST` (no bus, no
 * answer, stuck; `details.errno` says which), `DEVICE_BUSY` (the kernel's own driver has the address),
 * `DEVICE_TIMEOUT`, `DEVICE_UNSUPPORTED`, `DEVICE_CLOSED`.
 */
export interface I2cDevice {
  /** For messages: `i2c-1/3C`. */
  readonly name: string
  /** The most bytes of one write: 8192, or 33 on an adapter that only knows SMBus blocks. */
  maxWrite(signal?: AbortSignal): Promise<number>
  /** Writes 2 bytes or more: start, address, bytes, stop. */
  write(bytes: Uint8Array, signal?: AbortSignal): Promise<void>
  /** Reads 1 to 32 bytes from a register on. */
  readRegister(register: number, length: number, signal?: AbortSignal): Promise<Uint8Array>
  /** Idempotent. With the last device of a bus the bus is closed. */
  close(): Promise<void>
}

/** The buses of one process. The boot file makes it and gives it to every driver that speaks I2C. */
export interface I2cBuses {
  /**
   * A device at a 7-bit address; it need not be there. Two drivers at one address share it.
   * @throws DeviceError `DEVICE_UNSUPPORTED` where the library is not installed
   */
  device(bus: number, address: number): Promise<I2cDevice>
}

/** Buses over `/dev/i2c-N`, opened when first used, opened anew after they have gone. */
export function i2cBuses(clock: Clock, load: () => Promise<I2cBinding> = nativeI2c): I2cBuses {
  const buses = new Map<number, SharedBus>()
  return {
    async device(number, address) {
      const binding = await load()
      const shared = buses.get(number) ?? createSharedBus(binding, number)
      buses.set(number, shared)
      shared.users++
      return createDevice(shared, number, address, clock, async () => {
        if (--shared.users > 0) return
        buses.delete(number)
        await shared.close()
      })
    },
  }
}

interface SharedBus {
  readonly lock: FairLock
  users: number
  open(): Promise<{ readonly bus: OpenI2c; readonly plain: boolean }>
  /** Closes the file; the next transfer opens it anew. */
  drop(): Promise<void>
  /** Waits for the transfer under way. */
  close(): Promise<void>
}

function createSharedBus(binding: I2cBinding, number: number): SharedBus {
  const lock = createFairLock()
  let open: { readonly bus: OpenI2c; readonly plain: boolean } | undefined
  const drop = async () => {
    const old = open
    open = undefined
    await old?.bus.close().catch(() => undefined)
  }
  return {
    lock,
    users: 0,
    async open() {
      if (open !== undefined) return open
      const bus = await binding.open(number)
      try {
        open = { bus, plain: await bus.plain() }
        return open
      } catch (error) {
        await bus.close().catch(() => undefined)
        throw error
      }
    },
    drop,
    async close() {
      const release = await lock.take({})
      await drop()
      release()
    },
  }
}

function createDevice(
  shared: SharedBus,
  number: number,
  address: number,
  clock: Clock,
  onClose: () => Promise<void>,
): I2cDevice {
  const name = `i2c-${number}/${address.toString(16).padStart(2, '0').toUpperCase()}`
  const closing = new AbortController()
  const turn = {}
  let closed: Promise<void> | undefined

  /** One try. The bus is free again when the transfer has really ended, whatever its caller was told. */
  async function once<T>(
    work: (bus: OpenI2c, plain: boolean) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const release = await shared.lock.take(turn, signal)
    const transfer = (async () => {
      try {
        const { bus, plain } = await shared.open()
        return await work(bus, plain)
      } catch (error) {
        if (i2cFault(name, error).reopen) await shared.drop()
        throw error
      } finally {
        release()
      }
    })()
    return orAborted(
      withinTime(transfer, TRANSFER_MS, clock, () => undefined),
      signal,
    )
  }

  async function transfer<T>(
    work: (bus: OpenI2c, plain: boolean) => Promise<T>,
    caller: AbortSignal | undefined,
  ): Promise<T> {
    if (closed !== undefined) throw deviceError('DEVICE_CLOSED', `${name} is closed`, { device: name })
    const signal = caller === undefined ? closing.signal : AbortSignal.any([caller, closing.signal])
    for (let attempt = 0; ; attempt++) {
      try {
        return await once(work, signal)
      } catch (error) {
        if (isPosternError(error)) throw error
        const fault = i2cFault(name, error)
        const pauseMs = RETRY_PAUSES_MS[attempt]
        if (!fault.again || pauseMs === undefined) throw fault.error
        await clock.sleep(pauseMs, signal).catch(() => {
          throw reasonOf(signal)
        })
      }
    }
  }

  return {
    name,
    maxWrite: (signal) => transfer(async (_, plain) => (plain ? PLAIN_WRITE : SMBUS_BLOCK + 1), signal),
    write(bytes, signal) {
      const own = bytes.slice()
      return transfer(
        (bus, plain) => (plain ? bus.write(address, own) : bus.writeBlock(address, own[0]!, own.subarray(1))),
        signal,
      )
    },
    readRegister: (register, length, signal) =>
      transfer((bus) => bus.readBlock(address, register, length), signal),
    close() {
      closing.abort(deviceError('DEVICE_CLOSED', `${name} is closed`, { device: name }))
      closed ??= onClose()
      return closed
    },
  }
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(reasonOf(signal))
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
