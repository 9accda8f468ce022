// A character device that takes and gives bytes, such as a USB printer's /dev/usb/lp0, as a byte port: non-blocking both
// ways, so that no thread of libuv's pool waits for a printer that is out of paper.
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs'
import { Type } from 'typebox'
import { PosternError } from '../base/errors.js'
import type { BytePort, OpenBytePort } from '../byte-port.js'
import { type FileCalls, loadFileCalls } from './device-file.js'

export const DeviceFilePortOptions = {
  /** The device file, such as `/dev/usb/lp0` or a udev link to it. */
  path: Type.String({ minLength: 1, maxLength: 256, pattern: '^/' }),
}
export interface DeviceFilePortSettings {
  readonly path: string
}

const READ_BYTES = 1024
/** A USB transfer may be empty; so many in a row, and nothing is there any more. */
const EMPTY_READS = 64

const errno = (error: unknown) => (error as NodeJS.ErrnoException).code

function openFailed(path: string, error: unknown): PosternError {
  const code = errno(error)
  // Linux's usblp lets one program in at a time.
  if (code === 'EBUSY')
    return new PosternError('DEVICE_BUSY', `${path} is held by another program`, { path }, error)
  const reason =
    code === 'EACCES' || code === 'EPERM'
      ? `${path} may not be opened by this user: add it to the group lp`
      : `${path} can not be opened: ${code ?? String(error)}`
  return new PosternError('DEVICE_LOST', reason, { path }, error)
}

/** Opens the file for both ways. */
export function deviceFilePortOpener({ path }: DeviceFilePortSettings): OpenBytePort {
  return async () => {
    const calls = await loadFileCalls()
    try {
      const { O_RDWR, O_NONBLOCK, O_NOCTTY } = constants
      return asBytePort(openSync(path, O_RDWR | O_NONBLOCK | O_NOCTTY), path, calls)
    } catch (error) {
      throw openFailed(path, error)
    }
  }
}

function asBytePort(fd: number, path: string, { Epoll }: FileCalls): BytePort {
  interface Writing {
    readonly bytes: Uint8Array
    at: number
    readonly done: () => void
    readonly failed: (error: PosternError) => void
  }
  const queue: Writing[] = []
  const early: Uint8Array[] = []
  const buffer = new Uint8Array(READ_BYTES)
  let onData: ((bytes: Uint8Array) => void) | undefined
  let onLost: ((reason: string) => void) | undefined
  let ended: PosternError | undefined
  let wantsRoom = false
  let emptyReads = 0

  const poller = new Epoll(() => {
    if (ended !== undefined) return
    read()
    write()
  })

  function end(error: PosternError): void {
    if (ended !== undefined) return
    ended = error
    try {
      poller.remove(fd)
    } catch {
      // The kernel takes a descriptor out of the set by itself when its device is gone.
    }
    poller.close()
    closeSync(fd)
    for (const { failed } of queue.splice(0)) failed(error)
  }
  function lose(cause: unknown): void {
    const reason = `${path} went away`
    end(new PosternError('DEVICE_LOST', reason, { path }, cause))
    onLost?.(reason)
  }

  function read(): void {
    while (ended === undefined) {
      let length: number
      try {
        length = readSync(fd, buffer)
      } catch (error) {
        if (errno(error) !== 'EAGAIN') lose(error)
        return
      }
      if (length === 0) {
        if (++emptyReads >= EMPTY_READS) lose(undefined)
        return
      }
      emptyReads = 0
      const copy = buffer.slice(0, length)
      if (onData) onData(copy)
      else early.push(copy)
    }
  }

  function waitForRoom(on: boolean): void {
    if (on === wantsRoom || ended !== undefined) return
    wantsRoom = on
    poller.modify(fd, on ? Epoll.EPOLLIN | Epoll.EPOLLOUT : Epoll.EPOLLIN)
  }
  function write(): void {
    for (let head = queue[0]; head !== undefined && ended === undefined; head = queue[0]) {
      try {
        if (head.at < head.bytes.length) head.at += writeSync(fd, head.bytes, head.at)
      } catch (error) {
        if (errno(error) === 'EAGAIN') return waitForRoom(true)
        return lose(error)
      }
      if (head.at < head.bytes.length) continue
      queue.shift()
      head.done()
    }
    waitForRoom(false)
  }

  poller.add(fd, Epoll.EPOLLIN)
  return {
    write(bytes) {
      if (ended !== undefined) return Promise.reject(ended)
      return new Promise((done, failed) => {
        queue.push({ bytes: bytes.slice(), at: 0, done, failed })
        if (queue.length === 1) write()
      })
    },
    onData(listener) {
      onData = listener
      for (const bytes of early.splice(0)) listener(bytes)
    },
    onLost(listener) {
      onLost = listener
      if (ended?.code === 'DEVICE_LOST') listener(ended.message)
    },
    async close() {
      end(new PosternError('DEVICE_CLOSED', `${path} is closed`))
    },
  }
}
