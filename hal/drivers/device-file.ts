// A character device as a file that never blocks: non-blocking reads when epoll(7) says so, ioctl(2) on the same
// descriptor. No thread of libuv's pool waits in it, so that silent devices can't starve `fs`.
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { PosternError } from '../base/errors.js'
import { deviceError } from '../device-base.js'

export interface DeviceFile {
  readonly path: string
  /**
   * The bytes that are there now, at most as many as `into` holds; 0 where there are none.
   * @throws DeviceError `DEVICE_LOST` where the device went away
   */
  read(into: Uint8Array): number
  /** Called whenever there is something to read, and when the device goes. One listener; it has to read all. */
  onReadable(listener: () => void): void
  /** @throws Error with errno's name as `code`; DeviceError `DEVICE_UNSUPPORTED` where the package is missing */
  ioctl(request: number, argument: Buffer | number): number
  /** Idempotent. */
  close(): void
}

/** What is needed of the native packages; a test of a driver may bring its own. */
export interface FileCalls {
  readonly Epoll: typeof import('epoll')['Epoll']
  readonly ioctl: (fd: number, request: number, argument?: Buffer | number) => number
}

/** @throws DeviceError `DEVICE_UNSUPPORTED` naming the packages */
export async function loadFileCalls(): Promise<FileCalls> {
  try {
    const [epoll, ioctl] = await Promise.all([import('epoll'), import('ioctl')])
    return { Epoll: epoll.default.Epoll, ioctl: ioctl.default }
  } catch (error) {
    throw deviceError(
      'DEVICE_UNSUPPORTED',
      'the packages epoll and ioctl are not built: run npm install with a compiler (g++, make, python3)',
      {},
      error,
    )
  }
}

/** Why open(2) failed, as a device error. */
function openError(path: string, error: NodeJS.ErrnoException): PosternError {
  const { code } = error
  if (code === 'EBUSY')
    return new PosternError('DEVICE_BUSY', `${path} is held by another program`, { path }, error)
  const reason =
    code === 'EACCES' || code === 'EPERM'
      ? `${path} may not be opened by this user: give it the device's group`
      : `${path} can not be opened: ${code ?? error.message}`
  return new PosternError('DEVICE_LOST', reason, { path }, error)
}

/**
 * Opens a device file for reading (and writing, where told).
 * @throws DeviceError `DEVICE_LOST` where it isn't there or not allowed, `DEVICE_BUSY` where another holds it
 */
export function openDeviceFile(path: string, calls: FileCalls, write = false): DeviceFile {
  const { O_NONBLOCK, O_NOCTTY, O_RDONLY, O_RDWR } = constants
  try {
    const fd = openSync(path, (write ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_NOCTTY)
    return deviceFile(fd, path, calls)
  } catch (error) {
    throw openError(path, error as NodeJS.ErrnoException)
  }
}

/** A descriptor that is already open, such as the one of a requested GPIO line; it is closed with the file. */
export function deviceFile(fd: number, path: string, calls: FileCalls): DeviceFile {
  let poller: import('epoll').Watcher | undefined
  let closed = false
  const gone = (cause?: unknown) => deviceError('DEVICE_LOST', `${path} went away`, { path }, cause)

  return {
    path,
    read(into) {
      if (closed) throw gone()
      try {
        const length = readSync(fd, into)
        // A device has no end; a FIFO whose writer left has.
        if (length === 0) throw gone()
        return length
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0
        throw error instanceof PosternError ? error : gone(error)
      }
    },
    onReadable(listener) {
      if (closed || poller !== undefined) return
      poller = new calls.Epoll(() => {
        if (!closed) listener()
      })
      poller.add(fd, calls.Epoll.EPOLLIN)
    },
    ioctl(request, argument) {
      if (closed) throw gone()
      return calls.ioctl(fd, request >>> 0, argument)
    },
    close() {
      if (closed) return
      closed = true
      try {
        poller?.remove(fd)
      } catch {
        // The kernel takes a descriptor out of the set by itself when its device is gone.
      }
      poller?.close()
      closeSync(fd)
    },
  }
}
