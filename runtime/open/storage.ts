// Small documents of the open world: lowdb on files that survive power cuts. Not for money: it rewrites the whole file.
import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { LowSync, type SyncAdapter } from 'lowdb'
import { readDurable, writeDurable } from '../../hal/base/durable-file.js'
import { isPosternError, PosternError } from '../../hal/base/errors.js'
import type { Log } from '../../hal/base/log.js'

/** Bytes of JSON that one value of an app may have. */
export const MAX_VALUE = 48 * 1024
/** Bytes of JSON that all values of an app may have together, keys included. */
export const MAX_APP_STORAGE = 1024 * 1024

/**
 * A lowdb adapter that writes durably (temporary file, fsync, rename, fsync of the folder) and reads the generation
 * before where the newest is torn. Where both are, the file is laid aside as `.damaged` and the document starts anew.
 */
export function durableAdapter<T>(
  path: string,
  isValid: (value: unknown) => value is T,
  log: Log,
): SyncAdapter<T> {
  const layAside = (reason: string) => {
    log.error('storage.damaged', { path, reason })
    for (const generation of [path, `${path}.previous`]) {
      if (existsSync(generation)) renameSync(generation, `${generation}.damaged`)
    }
    return null
  }
  return {
    read: () => {
      try {
        const found = readDurable(path)
        if (found === undefined) return null
        if (found.generation === 'previous') log.warn('storage.fell-back', { path })
        const value: unknown = JSON.parse(Buffer.from(found.content).toString('utf8'))
        return isValid(value) ? value : layAside('not the shape it was written in')
      } catch (error) {
        if (isPosternError(error, 'FILE_CORRUPT') || error instanceof SyntaxError)
          return layAside(error.message)
        throw error
      }
    },
    write: (data) => writeDurable(path, Buffer.from(JSON.stringify(data))),
  }
}

/** Opens a document; `initial` where it was never written. */
export function openDocument<T>(
  path: string,
  initial: T,
  isValid: (value: unknown) => value is T,
  log: Log,
): LowSync<T> {
  const document = new LowSync<T>(durableAdapter(path, isValid, log), initial)
  document.read()
  return document
}

/** What an app keeps: values by key, durable when a call returns. */
export interface AppStorage {
  /** Null where there is no such key. */
  get(key: string): unknown
  /** @throws PosternError `VALUE_TOO_LARGE` over 48 KiB, `STORAGE_FULL` over 1 MiB in all */
  set(key: string, value: unknown): void
  delete(key: string): void
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Opens the storage of one app under `folder`. Keys were checked by the contract. */
export function openAppStorage(folder: string, log: Log): AppStorage {
  const document = openDocument<Record<string, unknown>>(join(folder, 'storage.json'), {}, isRecord, log)
  const sizeOf = (key: string, value: unknown) =>
    Buffer.byteLength(key) + Buffer.byteLength(JSON.stringify(value) ?? 'null')
  const sizes = new Map(Object.entries(document.data).map(([key, value]) => [key, sizeOf(key, value)]))
  const total = () => [...sizes.values()].reduce((sum, size) => sum + size, 0)
  /** Keeps memory and file the same, even when the disk refuses. */
  const replace = (next: Record<string, unknown>) => {
    const before = document.data
    document.data = next
    try {
      document.write()
    } catch (error) {
      document.data = before
      throw error
    }
  }
  return {
    get: (key) => (Object.hasOwn(document.data, key) ? document.data[key] : null),
    set: (key, value) => {
      const size = sizeOf(key, value)
      if (size > MAX_VALUE)
        throw new PosternError('VALUE_TOO_LARGE', `a value may have ${MAX_VALUE} bytes`, { key, size })
      if (total() - (sizes.get(key) ?? 0) + size > MAX_APP_STORAGE)
        throw new PosternError('STORAGE_FULL', `an app may keep ${MAX_APP_STORAGE} bytes`, { key, size })
      replace({ ...document.data, [key]: value ?? null })
      sizes.set(key, size)
    },
    delete: (key) => {
      if (!Object.hasOwn(document.data, key)) return
      const { [key]: _gone, ...rest } = document.data
      replace(rest)
      sizes.delete(key)
    },
  }
}
