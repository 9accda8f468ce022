// How lists, menus and details look, and how many of their rows are in view.
import type { Static } from 'typebox'
import type { Font } from '../../../hal/base/font/font.js'
import type { Rect } from '../../../hal/display.js'
import type { DetailsScreen, ListScreen, MenuScreen } from '../../api/screens.js'
import { type ChoiceState, windowTop } from './choice-state.js'
import { inset, type Layout, lineHeight } from './layout.js'
import { line, lines, type Pen, scrollBar, sign } from './pen.js'
import type { Extent } from './step.js'
import { wrap } from './text-layout.js'

type List = Static<typeof ListScreen>
type Menu = Static<typeof MenuScreen>
type Details = Static<typeof DetailsScreen>

const rowHeight = (layout: Layout, details: boolean) =>
  layout.compact ? 16 * (details && layout.body.height >= 80 ? 2 : 1) : (details ? 42 : 30) * layout.unit

/** How the body of a choice is divided: text above, rows of items below. */
interface Division {
  readonly text: Rect
  readonly items: Rect
  readonly rowHeight: number
  readonly extent: Extent
}

function divideBody(layout: Layout, textLines: number, count: number, details: boolean): Division {
  const { body } = layout
  const row = rowHeight(layout, details)
  const step = lineHeight(layout)
  const pad = layout.compact ? 0 : 6 * layout.unit
  const wanted = textLines === 0 ? 0 : textLines * step + 2 * pad
  // Text gives way to items down to two fifths of the body, items give way to text down to one row.
  const least = Math.min(wanted, Math.floor(body.height * (layout.compact ? 0.5 : 0.4)))
  const most = Math.min(wanted, Math.max(0, body.height - row))
  const height =
    count === 0 ? body.height : Math.max(0, Math.min(most, Math.max(least, body.height - count * row)))
  const items = { ...body, y: body.y + height, height: body.height - height }
  return {
    text: inset({ ...body, height }, layout.margin, pad),
    items,
    rowHeight: row,
    extent: {
      visibleItems: Math.max(0, Math.min(count, Math.floor(items.height / row))),
      visibleLines: Math.max(0, Math.floor((height - 2 * pad) / step)),
      totalLines: textLines,
    },
  }
}

export function divideList(layout: Layout, screen: List): Division {
  return divideBody(
    layout,
    0,
    screen.items.length,
    screen.items.some((item) => item.detail !== undefined),
  )
}

export function drawList(pen: Pen, screen: List, state: ChoiceState): void {
  const division = divideList(pen.layout, screen)
  if (screen.items.length === 0) {
    const room = inset(pen.layout.body, pen.layout.margin, 0)
    const text = wrap(pen.font, screen.empty ?? pen.text('list.empty'), room.width / pen.layout.unit, 6)
    const height = text.length * lineHeight(pen.layout)
    const y = room.y + Math.max(0, Math.floor((room.height - height) / 2))
    lines(pen, { ...room, y, height: room.y + room.height - y }, text, { colour: pen.theme.faint }, 'center')
    pen.alt.push(screen.empty ?? pen.text('list.empty'))
    return
  }
  drawItems(pen, screen.items, state, division)
}

export function divideMenu(
  layout: Layout,
  font: Font,
  screen: Menu,
): Division & { readonly lines: string[] } {
  const columns = (layout.width - 2 * layout.margin) / layout.unit
  const text = screen.text === undefined ? [] : wrap(font, screen.text, columns, 12)
  return { ...divideBody(layout, text.length, screen.items.length, false), lines: text }
}

export function drawMenu(pen: Pen, screen: Menu, state: ChoiceState): void {
  const division = divideMenu(pen.layout, pen.font, screen)
  lines(pen, division.text, division.lines.slice(0, division.extent.visibleLines), { colour: pen.theme.text })
  if (screen.text !== undefined) pen.alt.push(screen.text)
  drawItems(pen, screen.items, state, division)
}

/** One line of a details screen: a label, a value, or both. */
interface Fact {
  readonly label: string
  readonly value: string
  /** The value goes on below its label. */
  readonly wrapped: boolean
}

function factLines(layout: Layout, font: Font, screen: Details): Fact[] {
  const columns = (layout.width - 2 * layout.margin - (layout.compact ? 4 : 6)) / layout.unit
  const facts: Fact[] = []
  for (const { label, value } of screen.rows) {
    if (!value.includes('\n') && font.measure(label) + font.measure(value) + 12 <= columns) {
      facts.push({ label, value, wrapped: false })
      continue
    }
    facts.push({ label, value: '', wrapped: false })
    for (const part of wrap(font, value, columns - 8, 6))
      facts.push({ label: '', value: part, wrapped: true })
  }
  return facts
}

export function divideDetails(
  layout: Layout,
  font: Font,
  screen: Details,
): Division & { readonly facts: Fact[] } {
  const facts = factLines(layout, font, screen)
  return { ...divideBody(layout, facts.length, screen.items.length, false), facts }
}

export function drawDetails(pen: Pen, screen: Details, state: ChoiceState): void {
  const { theme, layout } = pen
  const division = divideDetails(layout, pen.font, screen)
  const { visibleLines, totalLines } = division.extent
  const first = Math.min(state.scroll, Math.max(0, totalLines - visibleLines))
  const height = lineHeight(layout)
  const room = { ...division.text, width: division.text.width - (layout.compact ? 4 : 6) }
  for (const [i, fact] of division.facts.slice(first, first + visibleLines).entries()) {
    const row = { ...room, y: room.y + i * height, height }
    if (fact.label !== '') line(pen, row, fact.label, { colour: theme.faint })
    if (fact.wrapped)
      line(pen, { ...row, x: row.x + 8 * layout.unit, width: row.width - 8 * layout.unit }, fact.value, {
        colour: theme.text,
      })
    else if (fact.value !== '') line(pen, row, fact.value, { colour: theme.text }, 'right')
  }
  scrollBar(
    pen,
    { ...division.text, width: division.text.width + layout.margin - 1 },
    first,
    visibleLines,
    totalLines,
  )
  for (const { label, value } of screen.rows) pen.alt.push(`${label}: ${value.replaceAll('\n', ' ')}`)
  if (!layout.compact && screen.items.length > 0)
    pen.canvas.fill({ ...division.items, height: layout.unit }, theme.line)
  drawItems(pen, screen.items, state, division)
}

interface Item {
  readonly label: string
  readonly detail?: string
  readonly right?: string
  readonly mark?: 'done' | 'failed' | 'attention'
}

function drawItems(pen: Pen, items: readonly Item[], state: ChoiceState, division: Division): void {
  const { visibleItems } = division.extent
  const top = windowTop(state, items.length, visibleItems)
  for (let i = 0; i < visibleItems && top + i < items.length; i++) {
    const row = {
      ...division.items,
      y: division.items.y + i * division.rowHeight,
      height: division.rowHeight,
    }
    drawItem(pen, items[top + i]!, row, i + 1, top + i === state.selected, items.length > visibleItems)
  }
  scrollBar(
    pen,
    { ...division.items, height: visibleItems * division.rowHeight },
    top,
    visibleItems,
    items.length,
  )
}

function drawItem(pen: Pen, item: Item, row: Rect, digit: number, selected: boolean, scrolls: boolean): void {
  const { canvas, theme, layout } = pen
  const { unit, compact } = layout
  const colour = selected ? theme.onAccent : theme.text
  const faint = selected ? theme.onAccentFaint : theme.faint
  if (selected) {
    const box = compact ? row : inset(row, 4 * unit, unit)
    canvas.roundRect(
      scrolls ? { ...box, width: box.width - (compact ? 3 : 3 * unit) } : box,
      compact ? 0 : 5 * unit,
      theme.accent,
    )
  } else if (!compact && row.height > 30 * unit) {
    canvas.fill(
      {
        x: row.x + layout.margin,
        y: row.y + row.height - unit,
        width: row.width - 2 * layout.margin,
        height: unit,
      },
      theme.line,
    )
  }
  const edge = scrolls ? (compact ? 4 : 4 * unit) : 0
  const room = { ...inset(row, layout.margin, 0), width: row.width - 2 * layout.margin - edge }
  const twoLines = row.height >= (compact ? 32 : 40 * unit)
  const upper = twoLines ? { ...room, y: room.y + (compact ? 0 : 4 * unit), height: 16 * unit } : room
  if (digit <= 9) line(pen, upper, String(digit), { colour: faint })
  const indent = (compact ? 10 : 14) * unit
  let x = room.x + indent
  let width = room.width - indent
  if (item.mark !== undefined) {
    const size = compact ? 11 : 14 * unit
    const tone = { done: 'success', failed: 'error', attention: 'warning' } as const
    if (selected && !theme.mono)
      canvas.disc(
        x - 1.5 * unit,
        upper.y + Math.floor((upper.height - size) / 2) - 1.5 * unit,
        size + 3 * unit,
        theme.onAccent,
      )
    if (selected && theme.mono)
      line(pen, { ...upper, x, width: 8 }, { done: '+', failed: 'x', attention: '!' }[item.mark], { colour })
    else sign(pen, x, upper.y + Math.floor((upper.height - size) / 2), size, tone[item.mark])
    x += size + 5 * unit
    width -= size + 5 * unit
  }
  if (item.right !== undefined) {
    const most = Math.floor(width * 0.55)
    const used = line(
      pen,
      { ...upper, x: x + width - most, width: most },
      item.right,
      { colour, bold: true },
      'right',
    )
    width -= used + 6 * unit
  }
  line(pen, { ...upper, x, width: Math.max(0, width) }, item.label, { colour })
  if (twoLines && item.detail !== undefined)
    line(
      pen,
      {
        ...room,
        x: room.x + indent,
        width: room.width - indent,
        y: upper.y + (compact ? 16 : 18 * unit),
        height: 16 * unit,
      },
      item.detail,
      { colour: faint },
    )
  pen.alt.push(
    `${selected ? '> ' : ''}${digit} ${[item.label, item.detail, item.right].filter((part) => part?.trim()).join(' · ')}${item.mark === undefined ? '' : ` (${pen.text(`mark.${item.mark}`)})`}`,
  )
}
