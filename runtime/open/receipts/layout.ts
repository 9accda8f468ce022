// A print document broken into lines of a paper's width, before anyone decides how to put them on paper.
import { type Bitmap, unpackBitmap } from '../../../hal/base/bitmap.js'
import { runsRightToLeft } from '../../../hal/base/font/visual-order.js'
import type { PrintBlock, PrintDocument } from '../../api/print-document.js'

export type LayoutLine =
  | {
      readonly kind: 'text'
      /** In the order of reading. */
      readonly text: string
      /** The paragraph runs from right to left: `left` and `right` of `align` are true sides of the paper. */
      readonly rtl: boolean
      readonly align: 'left' | 'center' | 'right'
      readonly bold: boolean
      /** Twice as wide and as high. */
      readonly large: boolean
    }
  | { readonly kind: 'feed'; readonly lines: number }
  | { readonly kind: 'qr' | 'barcode'; readonly data: string }
  | { readonly kind: 'picture'; readonly picture: Bitmap }

/** Columns of a text: half-width cells. */
export type Measure = (text: string) => number

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/

/** Marks, joiners and isolates. */
const NO_WIDTH = /[\p{Mn}\p{Cf}]/u

/** East Asian Width (UAX #11) for those who have no font at hand: wide characters take two columns. */
export const plainMeasure: Measure = (text) => {
  let columns = 0
  for (const character of text) columns += WIDE.test(character) ? 2 : NO_WIDTH.test(character) ? 0 : 1
  return columns
}

/**
 * Control characters never reach a printer: an app could speak its language with them. Nor do orders that turn text
 * round, as an amount must not read otherwise than it is written; joiners stay, Persian is spelt with them.
 */
function printable(text: string): string {
  return text
    .replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u00ad\ufeff]/g, '')
    .replace(/(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu, ' ')
}

const TOKENS =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff00-\uff60]|\s+|[^\s\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff00-\uff60]+/gu

/** Breaks at spaces, between wide characters, and inside words that are longer than a line. */
function wrap(paragraph: string, columns: number, measure: Measure): string[] {
  const lines: string[] = []
  let line = ''
  for (const token of paragraph.match(TOKENS) ?? []) {
    if (measure(line + token) <= columns) {
      line += token
      continue
    }
    if (token.trim() === '') {
      lines.push(line)
      line = ''
      continue
    }
    if (measure(token) <= columns) {
      lines.push(line.trimEnd())
      line = token
      continue
    }
    for (const character of token) {
      if (measure(line + character) > columns) {
        lines.push(line)
        line = ''
      }
      line += character
    }
  }
  return [...lines, line.trimEnd()]
}

function row(block: PrintBlock & { kind: 'row' }, columns: number, measure: Measure): LayoutLine[] {
  const left = printable(block.left)
  const right = printable(block.right)
  const rtl = runsRightToLeft(`${left} ${right}`)
  const [start, end] = rtl ? (['right', 'left'] as const) : (['left', 'right'] as const)
  const style = { kind: 'text', bold: block.bold ?? false, large: false, rtl } as const
  const gap = columns - measure(left) - measure(right)
  // Isolated: after Arabic letters the parts of a date would change places (UAX #9, W2).
  const value = rtl ? `\u2068${right}\u2069` : right
  if (gap >= 1) return [{ ...style, text: left + ' '.repeat(gap) + value, align: 'left' }]
  return [
    ...wrap(left, columns, measure).map((text) => ({ ...style, text, align: start }) as const),
    ...wrap(right, columns, measure).map((text) => ({ ...style, text, align: end }) as const),
  ]
}

function linesOf(block: PrintBlock, columns: number, measure: Measure): LayoutLine[] {
  switch (block.kind) {
    case 'text': {
      const { bold = false, large = false } = block
      const width = large ? Math.floor(columns / 2) : columns
      return block.text.split('\n').flatMap((raw) => {
        const paragraph = printable(raw)
        const rtl = runsRightToLeft(paragraph)
        const { align = rtl ? 'right' : 'left' } = block
        return wrap(paragraph, width, measure).map(
          (text) => ({ kind: 'text', text, rtl, align, bold, large }) as const,
        )
      })
    }
    case 'row':
      return row(block, columns, measure)
    case 'rule':
      return [
        { kind: 'text', text: '-'.repeat(columns), rtl: false, align: 'left', bold: false, large: false },
      ]
    case 'feed':
      return [{ kind: 'feed', lines: block.lines }]
    case 'picture':
      return [
        {
          kind: 'picture',
          picture: unpackBitmap(block.width, new Uint8Array(Buffer.from(block.rows, 'base64'))),
        },
      ]
    case 'qr':
    case 'barcode':
      return [{ kind: block.kind, data: block.data }]
  }
}

/** The document's lines on paper of `columns` columns. */
export function layOut(document: PrintDocument, columns: number, measure: Measure): LayoutLine[] {
  return document.blocks.flatMap((block) => linesOf(block, columns, measure))
}
