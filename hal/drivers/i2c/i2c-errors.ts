// What the kernel's error numbers mean on an I2C bus (Linux Documentation/i2c/fault-codes), as typed device errors.

import type { DeviceError, DeviceErrorCode } from '../../device.js'
import { deviceError } from '../../device-base.js'

interface Fault {
  readonly code: DeviceErrorCode
  readonly message: string
  /** A second try may succeed: noise, a device that is busy, another master. */
  readonly again?: true
  /** The file is of a bus that is no more: it has to be opened anew. */
  readonly reopen?: true
}

const FAULTS: Readonly<Record<string, Fault>> = {
  ENOENT: { code: 'DEVICE_LOST', message: 'this bus is not there: is I2C enabled?', reopen: true },
  ENODEV: { code: 'DEVICE_LOST', message: 'the bus has gone', reopen: true },
  EBADF: { code: 'DEVICE_LOST', message: 'the bus has gone', reopen: true },
  EACCES: { code: 'DEVICE_LOST', message: 'the bus may not be opened by this user: add it to the group i2c' },
  EPERM: { code: 'DEVICE_LOST', message: 'the bus may not be opened by this user: add it to the group i2c' },
  // No acknowledge: drivers of adapters use either.
  ENXIO: { code: 'DEVICE_LOST', message: 'nothing answers at this address', again: true },
  EREMOTEIO: { code: 'DEVICE_LOST', message: 'nothing answers at this address', again: true },
  EIO: { code: 'DEVICE_LOST', message: 'the transfer failed', again: true },
  EAGAIN: { code: 'DEVICE_LOST', message: 'another master holds the bus', again: true },
  ETIMEDOUT: { code: 'DEVICE_LOST', message: 'the bus is stuck', again: true },
  EPROTO: { code: 'DEVICE_PROTOCOL', message: 'the answer breaks the protocol', again: true },
  EBADMSG: { code: 'DEVICE_PROTOCOL', message: 'the checksum is wrong', again: true },
  EBUSY: { code: 'DEVICE_BUSY', message: 'a driver of the kernel holds this address', reopen: true },
  EOPNOTSUPP: { code: 'DEVICE_UNSUPPORTED', message: 'the adapter can not do such transfers' },
  ENOTSUP: { code: 'DEVICE_UNSUPPORTED', message: 'the adapter can not do such transfers' },
}
const OTHER: Fault = { code: 'DEVICE_LOST', message: 'the transfer failed', reopen: true }

/** Reads the error of a transfer. `name` is the device's, such as `i2c-1/3C`. */
export function i2cFault(
  name: string,
  error: unknown,
): { readonly error: DeviceError; readonly again: boolean; readonly reopen: boolean } {
  const errno = (error as NodeJS.ErrnoException | null)?.code
  const fault = (errno === undefined ? undefined : FAULTS[errno]) ?? OTHER
  const details = { device: name, errno: errno ?? 'none' }
  return {
    error: deviceError(fault.code, `${name}: ${fault.message}`, details, error),
    again: fault.again === true,
    reopen: fault.reopen === true,
  }
}
