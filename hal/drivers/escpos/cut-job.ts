// A job in portions that end between commands: where a fence may stand and a real-time query does no harm.
import { PosternError } from '../../base/errors.js'
import { pieceAt } from '../../base/escpos.js'

/** A run of whole commands, and what will have been printed by its end. */
export interface Portion {
  readonly bytes: Uint8Array
  /** Offset of its end in the job. */
  readonly end: number
  readonly lines: number
  readonly characters: number
  readonly barcodes: number
  readonly cuts: number
}

/** `GS ( k`, function 81: the symbol that was stored is printed. */
const printsSymbol = (bytes: Uint8Array, at: number) => bytes[at + 2] === 0x6b && bytes[at + 6] === 81

const MAX_JOB_BYTES = 1 << 20

/**
 * Cuts a job into portions of about `size` bytes; one that holds a longer command (a picture) is as long as that.
 * @throws PosternError `DEVICE_PROTOCOL` when the job ends inside a command, asks the printer something itself, or is
 * longer than 1 MiB
 */
export function cutJob(bytes: Uint8Array, size: number): readonly Portion[] {
  if (bytes.length > MAX_JOB_BYTES)
    throw new PosternError('DEVICE_PROTOCOL', 'a job is at most 1 MiB', { length: bytes.length })
  const portions: Portion[] = []
  let start = 0
  let at = 0
  let counts = { lines: 0, characters: 0, barcodes: 0, cuts: 0 }
  const close = () => {
    if (at > start) portions.push({ bytes: bytes.subarray(start, at), end: at, ...counts })
    start = at
    counts = { lines: 0, characters: 0, barcodes: 0, cuts: 0 }
  }
  while (at < bytes.length) {
    const piece = pieceAt(bytes, at)
    if (piece.kind === 'incomplete')
      throw new PosternError('DEVICE_PROTOCOL', 'the job ends inside a command', { offset: at })
    if (at > start && at + piece.length - start > size) close()
    if (piece.kind === 'text') counts.characters++
    else if (piece.kind === 'command') {
      const { name } = piece.command
      if (name === 'LF') counts.lines++
      else if (name === 'GS k' || (name === 'GS (' && printsSymbol(bytes, at))) counts.barcodes++
      else if (name === 'GS V') counts.cuts++
      else if (
        name === 'GS r' ||
        name === 'GS a' ||
        name === 'GS I' ||
        name === 'ESC v' ||
        piece.command.prefix[0] === 0x10
      )
        throw new PosternError('DEVICE_PROTOCOL', `a job may not hold ${name}`, { offset: at })
    }
    at += piece.length
  }
  close()
  // An empty job still asks the printer whether it is there.
  return portions.length > 0 ? portions : [{ bytes, end: 0, ...counts }]
}
