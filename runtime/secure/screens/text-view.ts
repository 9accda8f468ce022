// How messages, confirmations, progress, QR codes and receipts look.
import { encodeQR } from 'qr'
import type { Static } from 'typebox'
import type { Font } from '../../../hal/base/font/font.js'
import type { Rect } from '../../../hal/display.js'
import type { ConfirmScreen, MessageScreen, ProgressScreen, QrScreen } from '../../api/screens.js'
import { moneyText } from './form-view.js'
import { inset, type Layout, lineHeight } from './layout.js'
import { fittingScale, line, lines, type Pen, scrollBar, sign } from './pen.js'
import type { TextState } from './screen-state.js'
import type { Extent } from './step.js'
import { wrap } from './text-layout.js'

type Message = Static<typeof MessageScreen>
type Confirm = Static<typeof ConfirmScreen>
type Progress = Static<typeof ProgressScreen>
type Qr = Static<typeof QrScreen>

/** Text in a part of the body, with what of it is in view. */
export interface Flow {
  readonly room: Rect
  readonly lines: readonly string[]
  readonly extent: Extent
}

function flow(layout: Layout, font: Font, text: string, room: Rect): Flow {
  const wrapped = wrap(font, text, (room.width - (layout.compact ? 3 : 0)) / layout.unit)
  const visibleLines = Math.max(0, Math.floor(room.height / lineHeight(layout)))
  return {
    room,
    lines: wrapped,
    extent: { visibleItems: 0, visibleLines, totalLines: wrapped.length },
  }
}

/** Draws what is in view; short texts stand in the middle. */
function drawFlow(pen: Pen, { room, lines: all, extent }: Flow, scroll: number, colour: number): void {
  const first = Math.min(scroll, Math.max(0, extent.totalLines - extent.visibleLines))
  const shown = all.slice(first, first + extent.visibleLines)
  const slack = room.height - shown.length * lineHeight(pen.layout)
  const y = room.y + (all.length <= extent.visibleLines && !pen.layout.compact ? Math.floor(slack * 0.4) : 0)
  const align = all.length <= 4 && !pen.layout.compact ? 'center' : 'left'
  lines(pen, { ...room, y, height: room.y + room.height - y }, shown, { colour }, align)
  const bar = pen.layout.compact ? room : { ...room, width: room.width + pen.layout.margin - 2 }
  scrollBar(pen, bar, first, extent.visibleLines, extent.totalLines)
}

export function messageFlow(
  layout: Layout,
  font: Font,
  screen: Message,
): Flow & { readonly sign: Rect | undefined } {
  const { unit, compact, body } = layout
  const room = inset(body, layout.margin, compact ? 0 : 8 * unit)
  const plain = flow(layout, font, screen.text, room)
  if (compact || screen.tone === undefined) return { ...plain, sign: undefined }
  const size = (body.height >= 180 * unit ? 64 : 40) * unit
  const gap = 14 * unit
  const textHeight = plain.lines.length * lineHeight(layout)
  const slack = Math.max(0, room.height - size - gap - textHeight)
  const y = room.y + Math.floor(slack * 0.35)
  const below = { ...room, y: y + size + gap, height: Math.max(0, room.y + room.height - y - size - gap) }
  return {
    ...flow(layout, font, screen.text, slack > 0 ? { ...below, height: textHeight } : below),
    sign: { x: room.x + Math.floor((room.width - size) / 2), y, width: size, height: size },
  }
}

export function drawMessage(pen: Pen, screen: Message, state: TextState): void {
  const parts = messageFlow(pen.layout, pen.font, screen)
  if (parts.sign !== undefined) sign(pen, parts.sign.x, parts.sign.y, parts.sign.width, screen.tone ?? 'info')
  drawFlow(pen, parts, state.scroll, pen.theme.text)
  pen.alt.push(screen.text)
}

export function confirmFlow(layout: Layout, font: Font, screen: Confirm): Flow & { readonly amount: Rect } {
  const room = inset(layout.body, layout.margin, layout.compact ? 0 : 8 * layout.unit)
  const height =
    screen.amount === undefined ? 0 : Math.min(room.height, (layout.compact ? 16 : 64) * layout.unit)
  return {
    ...flow(layout, font, screen.text, { ...room, y: room.y + height, height: room.height - height }),
    amount: { ...room, height },
  }
}

export function drawConfirm(pen: Pen, screen: Confirm, state: TextState): void {
  const parts = confirmFlow(pen.layout, pen.font, screen)
  if (screen.amount !== undefined) {
    const text = moneyText(screen.amount.minor, screen.amount.currency)
    largeAmount(pen, parts.amount, text)
  }
  drawFlow(pen, parts, state.scroll, pen.theme.text)
  pen.alt.push(screen.text)
}

/** An amount as large as its room allows. */
export function largeAmount(pen: Pen, room: Rect, text: string): void {
  const scale = fittingScale(pen, text, room.width, room.height, 3)
  line(pen, room, text, { colour: pen.theme.text, scale, bold: true }, 'center')
  pen.alt.push(text)
}

export function progressFlow(layout: Layout, font: Font, screen: Progress): Flow & { readonly bar: Rect } {
  const room = inset(layout.body, layout.margin, layout.compact ? 0 : 8 * layout.unit)
  const height = (layout.compact ? 8 : 14) * layout.unit
  const above = Math.max(0, room.height - height - (layout.compact ? 2 : 40 * layout.unit))
  return {
    ...flow(layout, font, screen.text, { ...room, height: above }),
    bar: { ...room, y: room.y + above + (layout.compact ? 2 : 6 * layout.unit), height },
  }
}

export function drawProgress(pen: Pen, screen: Progress, state: TextState): void {
  const { theme, canvas, layout } = pen
  const parts = progressFlow(layout, pen.font, screen)
  drawFlow(pen, parts, state.scroll, theme.text)
  pen.alt.push(screen.percent === undefined ? screen.text : `${screen.text} ${screen.percent} %`)
  const { bar } = parts
  const radius = bar.height / 2
  canvas.roundRect(bar, radius, theme.line)
  if (theme.mono) canvas.roundRect(inset(bar, 1), radius - 1, theme.background)
  canvas.within(bar, () => {
    if (screen.percent !== undefined)
      canvas.roundRect(
        { ...bar, width: Math.round((bar.width * screen.percent) / 100) },
        radius,
        theme.accent,
      )
    else {
      const width = Math.floor(bar.width * 0.3)
      const steps = pen.phase % 24
      const x = bar.x - width + Math.floor(((bar.width + width) * steps) / 23)
      canvas.roundRect({ ...bar, x, width }, radius, theme.accent)
    }
  })
  if (screen.percent !== undefined && !layout.compact) {
    const below = { ...bar, y: bar.y + bar.height + 4 * layout.unit, height: 18 * layout.unit }
    line(pen, below, `${screen.percent} %`, { colour: theme.faint }, 'center')
  }
}

export function drawQr(pen: Pen, screen: Qr): void {
  const { theme, canvas, layout } = pen
  // The caption goes where the smallest panels need every row for the code; modules are square and whole.
  const area = layout.compact
    ? { ...layout.body, y: layout.title.y, height: layout.height - layout.title.y - layout.keys.height }
    : layout.body
  const caption =
    screen.text === undefined || layout.compact
      ? []
      : wrap(pen.font, screen.text, (area.width - 2 * layout.margin) / layout.unit, 2)
  const captionHeight = caption.length * lineHeight(layout) + (caption.length > 0 ? 6 * layout.unit : 0)
  const room = { ...area, height: area.height - captionHeight }
  pen.alt.push(`${pen.text('qr.alt')}: ${screen.data}`)
  if (screen.text !== undefined) pen.alt.push(screen.text)
  const modules = encodeQR(screen.data === '' ? ' ' : screen.data, 'raw', {
    ecc: layout.compact ? 'low' : 'medium',
    border: layout.compact ? 1 : 3,
  })
  const scale = Math.floor(Math.min(room.width, room.height) / modules.length)
  if (scale < 1) {
    lines(
      pen,
      inset(room, layout.margin, 0),
      wrap(pen.font, pen.text('qr.tooLarge'), (room.width - 2 * layout.margin) / layout.unit, 4),
      { colour: theme.error },
    )
    return
  }
  const size = scale * modules.length
  const x = room.x + Math.floor((room.width - size) / 2)
  const y = room.y + Math.floor((room.height - size) / 2)
  // Readers want dark on light on every panel.
  if (layout.compact) canvas.fill(room, theme.background)
  canvas.roundRect({ x, y, width: size, height: size }, layout.compact ? 0 : 6 * layout.unit, 0xffff)
  for (const [row, cells] of modules.entries()) {
    for (const [column, dark] of cells.entries()) {
      if (dark) canvas.fill({ x: x + column * scale, y: y + row * scale, width: scale, height: scale }, 0)
    }
  }
  lines(
    pen,
    inset({ ...area, y: area.y + room.height, height: captionHeight }, layout.margin, 0),
    caption,
    { colour: theme.text },
    'center',
  )
}
