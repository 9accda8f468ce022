// The native I2C library (`i2c-bus`) behind a narrow trait: asynchronous calls only, the kernel's error numbers kept.
import { deviceError } from '../../device-base.js'

/** An open bus. Every call is one transfer; callers see to it that there is one at a time. */
export interface OpenI2c {
  /** Does the adapter do transfers of any length, or only SMBus commands of at most 32 bytes? */
  plain(): Promise<boolean>
  write(address: number, bytes: Uint8Array): Promise<void>
  /** SMBus block write: a command byte and 1 to 32 bytes. */
  writeBlock(address: number, command: number, bytes: Uint8Array): Promise<void>
  /** Reads 1 to 32 bytes from a register on, with a repeated start. */
  readBlock(address: number, command: number, length: number): Promise<Uint8Array>
  close(): Promise<void>
}

/** Errors carry `code` with the kernel's name for it (`EREMOTEIO`). */
export interface I2cBinding {
  /** Makes the bus usable; that it isn't there shows with the first transfer. */
  open(bus: number): Promise<OpenI2c>
}

/** Longest SMBus block. SMBus 2.0, 5.5.7 */
export const SMBUS_BLOCK = 32

/**
 * The library.
 * @throws DeviceError `DEVICE_UNSUPPORTED` where it is not installed
 */
export async function nativeI2c(): Promise<I2cBinding> {
  const library = await import('i2c-bus').catch((error: unknown) => {
    throw deviceError(
      'DEVICE_UNSUPPORTED',
      'the library i2c-bus is not there: install g++, make and python3, then run npm ci',
      {},
      error,
    )
  })
  return {
    async open(number) {
      const bus = await library.openPromisified(number)
      const own = (bytes: Uint8Array) => Buffer.from(bytes)
      const whole = (what: string, done: number, wanted: number) => {
        if (done === wanted) return
        throw Object.assign(new Error(`${what} ${done} of ${wanted} bytes`), { code: 'EIO' })
      }
      return {
        async plain() {
          return (await bus.i2cFuncs()).i2c
        },
        async write(address, bytes) {
          const { bytesWritten } = await bus.i2cWrite(address, bytes.length, own(bytes))
          whole('wrote', bytesWritten, bytes.length)
        },
        async writeBlock(address, command, bytes) {
          await bus.writeI2cBlock(address, command, bytes.length, own(bytes))
        },
        async readBlock(address, command, length) {
          const buffer = Buffer.alloc(length)
          const { bytesRead } = await bus.readI2cBlock(address, command, length, buffer)
          whole('read', bytesRead, length)
          return new Uint8Array(buffer)
        },
        close: () => bus.close(),
      }
    },
  }
}
