// What proves a delivery and a signature, beside the journal: the app's own record of the stop, a picture, files of the depot.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { readDurable } from '../../hal/base/durable-file.js'
import { PosternError } from '../../hal/base/errors.js'
import type { SignaturePicture } from '../../runtime/secure/payments/payment-record.js'

const MAX_FILE = 4 * 1024 * 1024
const TYPES: Readonly<Record<string, string>> = {
  '.json': 'application/json',
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain',
}

/** A file in the bundle, whole. */
export interface Attachment {
  readonly name: string
  readonly type: string
  readonly sha256: string
  readonly base64: string
}

const attach = (name: string, type: string, bytes: Uint8Array): Attachment => ({
  name,
  type,
  sha256: createHash('sha256').update(bytes).digest('hex'),
  base64: Buffer.from(bytes).toString('base64'),
})

/** The signature as a picture that any browser shows. */
export function signaturePicture({ width, height, path }: SignaturePicture): Attachment {
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">` +
    `<rect width="100%" height="100%" fill="#fff"/>` +
    `<path d="${path}" fill="none" stroke="#000" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg>`
  return attach('signature.svg', TYPES['.svg']!, Buffer.from(svg))
}

/** A file that the depot adds. @throws PosternError `USAGE` where it is missing, too large, or of no known kind */
export function attachedFile(path: string): Attachment {
  const type = TYPES[extname(path).toLowerCase()]
  if (type === undefined)
    throw new PosternError('USAGE', `${basename(path)}: known are ${Object.keys(TYPES).join(' ')}`)
  if (!existsSync(path)) throw new PosternError('USAGE', `there is no file ${path}`)
  if (statSync(path).size > MAX_FILE)
    throw new PosternError('USAGE', `${basename(path)} has more than ${MAX_FILE} bytes`)
  return attach(basename(path), type, readFileSync(path))
}

/**
 * What the apps of this terminal have written down of the payment: each stored value that names its key, such as the
 * courier's stop with its parcel, state and time. Read-only; an app's storage that cannot be read is left out.
 */
export function deliveryRecords(
  openDir: string,
  keys: readonly string[],
): { readonly app: string; readonly key: string; readonly value: unknown }[] {
  const folder = join(openDir, 'apps')
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .sort()
    .flatMap((app) => {
      let stored: Record<string, unknown>
      try {
        const content = readDurable(join(folder, app, 'storage.json'))?.content
        if (content === undefined) return []
        stored = JSON.parse(Buffer.from(content).toString('utf8')) as Record<string, unknown>
      } catch {
        return []
      }
      return Object.entries(stored)
        .filter(([, value]) => {
          const text = JSON.stringify(value)
          return keys.some((key) => text.includes(JSON.stringify(key)))
        })
        .map(([key, value]) => ({ app, key, value }))
    })
}
