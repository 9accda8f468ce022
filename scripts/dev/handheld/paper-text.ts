// The words on the paper, read from the bytes that the printer was sent: for scenarios and for screen readers.
import { pieceAt } from '../../../hal/base/escpos.js'
import { codePageUpperHalf } from '../../../hal/simulated/escpos-code-pages.js'

export interface PaperText {
  receive(bytes: Uint8Array): void
  /** All lines so far, oldest first, at most 5,000. Pictures and symbols stand as `[image]`, `[barcode]`, `[qr]`. */
  lines(): readonly string[]
}

const MAX_LINES = 5000
const SYMBOLS: Readonly<Record<string, string>> = {
  'GS v 0': '[image]',
  'GS k': '[barcode]',
  'ESC *': '[image]',
}

/** Follows a stream of ESC/POS, however it is cut into pieces. */
export function createPaperText(): PaperText {
  const lines: string[] = []
  let line = ''
  let page = codePageUpperHalf(0)
  let held = new Uint8Array()
  const push = (text: string) => {
    lines.push(text)
    if (lines.length > MAX_LINES) lines.shift()
  }
  const endLine = () => {
    if (line.trim() !== '') push(line)
    line = ''
  }
  return {
    lines: () => (line.trim() === '' ? lines : [...lines, line]),
    receive(bytes) {
      const all = new Uint8Array(held.length + bytes.length)
      all.set(held)
      all.set(bytes, held.length)
      let at = 0
      while (at < all.length) {
        const piece = pieceAt(all, at)
        if (piece.kind === 'incomplete') break
        if (piece.kind === 'text') {
          const byte = all[at]!
          line += byte < 0x80 ? String.fromCharCode(byte) : (page?.[byte - 0x80] ?? '?')
        } else if (piece.kind === 'command') {
          const { name } = piece.command
          if (name === 'LF' || name === 'ESC d' || name === 'ESC J') endLine()
          else if (name === 'ESC t') page = codePageUpperHalf(all[at + 2]!)
          else if (name === 'ESC @') page = codePageUpperHalf(0)
          else if (name === 'GS (' && all[at + 2] === 0x6b && all[at + 6] === 81) push('[qr]')
          else if (SYMBOLS[name] !== undefined) {
            endLine()
            push(SYMBOLS[name])
          }
        }
        at += piece.length
      }
      held = all.slice(at)
    },
  }
}
