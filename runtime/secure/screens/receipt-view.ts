// How a receipt's preview looks: its lines on paper, as many columns as on the roll.
import type { Static } from 'typebox'
import type { Font } from '../../../hal/base/font/font.js'
import type { Rect } from '../../../hal/display.js'
import type { ReceiptScreen } from '../../api/screens.js'
import { inset, type Layout } from './layout.js'
import { type Pen, scrollBar } from './pen.js'
import type { TextState } from './screen-state.js'
import type { Extent } from './step.js'

type Receipt = Static<typeof ReceiptScreen>

interface Word {
  readonly text: string
  /** Unscaled columns from the beginning of the line. */
  readonly x: number
  readonly pitch: number
}
interface PaperLine {
  readonly words: readonly Word[]
  readonly width: number
}
interface Paper {
  readonly room: Rect
  readonly lines: readonly PaperLine[]
  readonly extent: Extent
}

/** Latin letters leave their first column empty: seven columns apart they still don't touch. */
const TIGHT = 7
const NORMAL = 8
/** Ideographs can't stand closer than they are wide: their lines take the room from the spaces. */
const LEAST_SPACE = 2

/** Where the words of a line stand, or undefined if it does not fit. */
function setLine(font: Font, text: string, pitch: number, columns: number): PaperLine | undefined {
  const parts = text.split(/( +)/).filter((part) => part !== '')
  const isGap = (part: string) => part.startsWith(' ')
  const pitchOf = (part: string) => ([...part].some((c) => font.measure(c) > NORMAL) ? NORMAL : pitch)
  const widthOf = (part: string) => (font.measure(part) * pitchOf(part)) / NORMAL
  const solid = parts.filter((part) => !isGap(part)).reduce((sum, part) => sum + widthOf(part), 0)
  const spaces = parts.filter(isGap).reduce((sum, part) => sum + part.length, 0)
  const target = Math.min(columns, (font.measure(text) * pitch) / NORMAL)
  const space = spaces === 0 ? 0 : Math.max(LEAST_SPACE, (target - solid) / spaces)
  if (solid + spaces * space > columns) return undefined
  const words: Word[] = []
  let x = 0
  for (const part of parts) {
    if (!isGap(part)) words.push({ text: part, x, pitch: pitchOf(part) })
    x += isGap(part) ? part.length * space : widthOf(part)
  }
  return { words, width: x }
}

/** A line that fits, or else the same with its gaps closed, in as many lines as it takes. */
function setLines(font: Font, text: string, pitch: number, columns: number): PaperLine[] {
  const whole = setLine(font, text, pitch, columns)
  if (whole !== undefined) return [whole]
  const found: PaperLine[] = []
  let set: PaperLine = { words: [], width: 0 }
  let part = ''
  for (const character of text.replace(/ {2,}/g, ' ').trim()) {
    const longer = setLine(font, part + character, pitch, columns)
    if (longer === undefined) {
      found.push(set)
      part = character.trim()
      set = setLine(font, part, pitch, columns) ?? { words: [], width: 0 }
    } else {
      part += character
      set = longer
    }
  }
  return [...found, set]
}

/** Where the paper lies, its lines, and how many are in view. */
export function receiptPaper(layout: Layout, font: Font, screen: Receipt): Paper {
  const { body, compact, unit } = layout
  const room = inset(body, compact ? 1 : 8 * unit, compact ? 0 : 6 * unit)
  const columns = Math.floor(room.width / unit) - 4
  const texts = screen.lines.map((text) => text.replaceAll('\n', ' '))
  const pitch = texts.every((text) => font.measure(text) <= columns) ? NORMAL : TIGHT
  const lines = texts.flatMap((text) => setLines(font, text, pitch, columns))
  return {
    room,
    lines,
    extent: {
      visibleItems: 0,
      visibleLines: Math.floor(room.height / (16 * unit)),
      totalLines: lines.length,
    },
  }
}

export function drawReceipt(pen: Pen, screen: Receipt, state: TextState): void {
  const { theme, canvas, layout } = pen
  const { unit, compact, body } = layout
  const { room, lines, extent } = receiptPaper(layout, pen.font, screen)
  const first = Math.min(state.scroll, Math.max(0, extent.totalLines - extent.visibleLines))
  if (!compact) {
    const paper = inset(body, 4 * unit, 0)
    canvas.fill(paper, theme.paper)
    canvas.fill({ ...paper, width: unit }, theme.line)
    canvas.fill({ ...paper, x: paper.x + paper.width - unit, width: unit }, theme.line)
  }
  const widest = Math.max(0, ...lines.map(({ width }) => width)) * unit
  const x = room.x + Math.max(0, Math.floor((room.width - widest) / 2))
  for (const [i, { words }] of lines.slice(first, first + extent.visibleLines).entries()) {
    for (const word of words)
      canvas.text(x + word.x * unit, room.y + i * 16 * unit, word.text, {
        colour: theme.ink,
        scale: unit,
        pitch: word.pitch,
      })
  }
  scrollBar(pen, { ...body, width: body.width - 1 }, first, extent.visibleLines, extent.totalLines)
  pen.alt.push(...screen.lines)
}
