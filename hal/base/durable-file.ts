// A small file that survives power cuts: checksum, fsync of file and folder, atomic rename, one generation kept.
import { createHash, randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { concat } from './bytes.js'
import { PosternError } from './errors.js'

/** Bound on what is read back: small documents, not logs. */
const MAX_BYTES = 4 * 1024 * 1024

function fsyncFolder(folder: string): void {
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

const seal = (content: Uint8Array) => createHash('sha256').update(content).digest('hex')

function readGeneration(path: string): Uint8Array | undefined {
  if (!existsSync(path)) return undefined
  const bytes = readFileSync(path)
  const newline = bytes.indexOf(10)
  if (newline !== 64 || bytes.length > MAX_BYTES) return undefined
  const content = new Uint8Array(bytes.subarray(65))
  return bytes.subarray(0, 64).toString('latin1') === seal(content) ? content : undefined
}

/**
 * Writes `content` so that after a power cut the file holds either this or what it held before.
 * The first line of the file is the SHA-256 of the rest. The former generation stays beside it as `.previous`.
 * @throws the system's error (ENOSPC, EROFS…); the file is then as it was.
 */
export function writeDurable(path: string, content: Uint8Array, mode = 0o600): void {
  const folder = dirname(path)
  mkdirSync(folder, { recursive: true })
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}`)
  try {
    const handle = openSync(temporary, 'wx', mode)
    try {
      writeSync(handle, concat(Buffer.from(`${seal(content)}\n`, 'latin1'), content))
      fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
    if (readGeneration(path) !== undefined) renameSync(path, `${path}.previous`)
    renameSync(temporary, path)
    fsyncFolder(folder)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/**
 * Reads what was last written; falls back to the former generation where the newest is torn.
 * Undefined when the file was never written.
 * @throws PosternError `FILE_CORRUPT` when it exists and no generation holds together.
 */
export function readDurable(
  path: string,
): { content: Uint8Array; generation: 'current' | 'previous' } | undefined {
  const current = readGeneration(path)
  if (current !== undefined) return { content: current, generation: 'current' }
  const previous = readGeneration(`${path}.previous`)
  if (previous !== undefined) return { content: previous, generation: 'previous' }
  if (!existsSync(path) && !existsSync(`${path}.previous`)) return undefined
  throw new PosternError('FILE_CORRUPT', `${basename(path)} is damaged and so is its former generation`, {
    file: basename(path),
  })
}
