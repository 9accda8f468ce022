// Text that fits: cleaned of what could deceive, cut with an ellipsis, or wrapped by the habits of each script.
import type { Font } from '../../../hal/base/font/font.js'

/** Characters that do not start a line (CJK closing punctuation; the Japanese and Chinese line-start rule). */
const NOT_FIRST = new Set('，。、！？：；）】」』》〉”’…—,.!?:;)]}%')
/** Characters that do not end one. */
const NOT_LAST = new Set('（【「『《〈“‘([{')

/**
 * One safe form of a text from outside: composed (NFC); line breaks kept; control, format (bidi overrides, zero
 * width), private and unpaired code points dropped, since they can make a prompt read otherwise than it is.
 */
export function cleanText(text: string): string {
  return text
    .normalize('NFC')
    .replace(/[\t\u2028\u2029]/g, ' ')
    .replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}]/gu, (character) => (character === '\n' ? '\n' : ''))
}

/** The text, or its beginning with `…`, in at most `columns` unscaled columns; line breaks become spaces. */
export function truncate(font: Font, text: string, columns: number): string {
  const line = text.replaceAll('\n', ' ')
  if (font.measure(line) <= columns) return line
  const room = columns - font.measure('…')
  if (room < 0) return ''
  let kept = ''
  let width = 0
  for (const character of line) {
    width += font.measure(character)
    if (width > room) break
    kept += character
  }
  return `${kept.trimEnd()}…`
}

const isWide = (character: string) => /[\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uff60]/.test(character)

/** Pieces between which a line may break; a trailing space belongs to its piece. */
function pieces(text: string): string[] {
  const found: string[] = []
  let piece = ''
  let before = ''
  for (const character of text) {
    const breaks =
      piece !== '' &&
      !NOT_FIRST.has(character) &&
      !NOT_LAST.has(before) &&
      character !== ' ' &&
      !/\p{M}/u.test(character) &&
      (before === ' ' || isWide(character) || isWide(before))
    if (breaks) {
      found.push(piece)
      piece = ''
    }
    piece += character
    before = character
  }
  if (piece !== '') found.push(piece)
  return found
}

/** Two lines as they were before they were broken. */
const joined = (first: string, second: string) =>
  isWide(first.slice(-1)) || isWide(second.slice(0, 1)) ? first + second : `${first} ${second}`

/**
 * Lines of at most `columns` unscaled columns, broken at spaces and between CJK characters, at `\n`, and inside a word
 * only where it is longer than a line. At most `maxLines`; the last then ends with `…`.
 */
export function wrap(font: Font, text: string, columns: number, maxLines = 200): string[] {
  if (columns < 16) return []
  const lines: string[] = []
  for (const paragraph of text.split('\n')) {
    let line = ''
    for (const piece of pieces(paragraph)) {
      if (font.measure((line + piece).trimEnd()) <= columns) {
        line += piece
        continue
      }
      if (line !== '') lines.push(line.trimEnd())
      line = ''
      for (const character of piece) {
        if (font.measure(line + character) > columns) {
          lines.push(line)
          line = ''
        }
        line += character
      }
    }
    lines.push(line.trimEnd())
  }
  if (lines.length <= maxLines) return lines
  const kept = lines.slice(0, maxLines)
  if (maxLines > 0)
    kept[maxLines - 1] = truncate(font, `${joined(lines[maxLines - 1]!, lines[maxLines]!)}…`, columns)
  return kept
}
