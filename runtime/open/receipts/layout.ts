// A print document broken into lines of a paper's width, before anyone decides how to put them on paper.
import type { PrintBlock, PrintDocument } from '../../api/print-document.js'

export type LayoutLine =
  | {
      readonly kind: 'text'
      readonly text: string
      readonly align: 'left' | 'center' | 'right'
      readonly bold: boolean
      /** Twice as wide and as high. */
      readonly large: boolean
    }
  | { readonly kind: 'feed'; readonly lines: number }
  | { readonly kind: 'qr' | 'barcode'; readonly data: string }

/** Columns of a text: half-width cells. */
export type Measure = (text: string) => number

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/

/** East Asian Width (UAX #11) for those who have no font at hand: wide characters take two columns. */
export const plainMeasure: Measure = (text) => {
  let columns = 0
  for (const character of text) columns += WIDE.test(character) ? 2 : 1
  return columns
}

/** Control characters never reach a printer: an app could speak its language with them. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu, ' ')
}

/** Breaks at spaces, between wide characters, and inside words that are longer than a line. */
function wrap(text: string, columns: number, measure: Measure): string[] {
  const lines: string[] = []
  for (const paragraph of text.split('\n')) {
    let line = ''
    const tokens =
      printable(paragraph).match(
        /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff00-\uff60]|\s+|[^\s\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff00-\uff60]+/gu,
      ) ?? []
    for (const token of tokens) {
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
    lines.push(line.trimEnd())
  }
  return lines
}

function row(block: PrintBlock & { kind: 'row' }, columns: number, measure: Measure): LayoutLine[] {
  const style = { kind: 'text', bold: block.bold ?? false, large: false } as const
  const left = printable(block.left)
  const right = printable(block.right)
  const gap = columns - measure(left) - measure(right)
  if (gap >= 1) return [{ ...style, text: left + ' '.repeat(gap) + right, align: 'left' }]
  return [
    ...wrap(left, columns, measure).map((text) => ({ ...style, text, align: 'left' }) as const),
    ...wrap(right, columns, measure).map((text) => ({ ...style, text, align: 'right' }) as const),
  ]
}

function linesOf(block: PrintBlock, columns: number, measure: Measure): LayoutLine[] {
  switch (block.kind) {
    case 'text': {
      const { align = 'left', bold = false, large = false } = block
      const width = large ? Math.floor(columns / 2) : columns
      return wrap(block.text, width, measure).map((text) => ({ kind: 'text', text, align, bold, large }))
    }
    case 'row':
      return row(block, columns, measure)
    case 'rule':
      return [{ kind: 'text', text: '-'.repeat(columns), align: 'left', bold: false, large: false }]
    case 'feed':
      return [{ kind: 'feed', lines: block.lines }]
    case 'qr':
    case 'barcode':
      return [{ kind: block.kind, data: block.data }]
  }
}

/** The document's lines on paper of `columns` columns. */
export function layOut(document: PrintDocument, columns: number, measure: Measure): LayoutLine[] {
  return document.blocks.flatMap((block) => linesOf(block, columns, measure))
}
