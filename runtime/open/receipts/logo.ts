// The merchant's logo on receipts: a PBM file (P4, one bit a dot) in the open world's data folder, by netpbm's pbm(5).
import { closeSync, openSync, readSync } from 'node:fs'
import type { Log } from '../../../hal/base/log.js'
import type { PrintBlock } from '../../api/print-document.js'

const MAX_DOTS = 576
const MAX_ROWS = 300
const MAX_FILE = 32_000

/** The block of a PBM file's bytes. `undefined` where it is none, or larger than 576 x 300 dots. */
export function logoBlock(file: Uint8Array): PrintBlock | undefined {
  const head = /^P4\s+(?:#[^\n]*\n\s*)*(\d{1,4})\s+(\d{1,4})\s/.exec(
    Buffer.from(file.subarray(0, 512)).toString('latin1'),
  )
  if (head === null) return undefined
  const width = Math.ceil(Number(head[1]) / 8) * 8
  const height = Number(head[2])
  const rows = file.subarray(head[0].length, head[0].length + (width >> 3) * height)
  if (width < 8 || width > MAX_DOTS || height < 1 || height > MAX_ROWS || rows.length < (width >> 3) * height)
    return undefined
  return { kind: 'picture', width, rows: Buffer.from(rows).toString('base64') }
}

/** Reads the logo; a file that is not there is no logo, one that is wrong is said in the log. */
export function readLogo(path: string, log: Log): PrintBlock | undefined {
  let file: Uint8Array
  try {
    const fd = openSync(path, 'r')
    try {
      const buffer = new Uint8Array(MAX_FILE)
      file = buffer.subarray(0, readSync(fd, buffer))
    } finally {
      closeSync(fd)
    }
  } catch {
    return undefined
  }
  const block = logoBlock(file)
  if (block === undefined)
    log.warn('receipt.logo-unusable', { path, wanted: 'PBM (P4) of at most 576 x 300 dots' })
  return block
}
