// How forms and amounts look while they are filled in.
import type { Static } from 'typebox'
import { GLYPH_HEIGHT } from '../../../hal/base/font/font.js'
import { CURRENCIES, formatMoney, money } from '../../../hal/base/money.js'
import type { Rect } from '../../../hal/display.js'
import type { AmountScreen, FormScreen } from '../../api/screens.js'
import { type AmountState, lowerBound } from './amount-state.js'
import type { FormState } from './form-state.js'
import { inset, lineHeight } from './layout.js'
import { fittingScale, line, lines, type Pen } from './pen.js'
import { wrap } from './text-layout.js'

type Form = Static<typeof FormScreen>
type Amount = Static<typeof AmountScreen>

/** The strip that an app can neither remove nor cover: what is typed below it is no PIN. Returns its height. */
export function notForPin(pen: Pen, room: Rect): number {
  const height = (pen.layout.compact ? 16 : 22) * pen.layout.unit
  const strip = { ...room, height: Math.min(height, room.height) }
  pen.canvas.fill(strip, pen.theme.caution)
  line(pen, strip, pen.text('form.notForPin'), { colour: pen.theme.onCaution, bold: true }, 'center')
  pen.alt.push(pen.text('form.notForPin'))
  return strip.height
}

/** Formats minor units with the currency's sign; an unknown currency shows its code. */
export function moneyText(minor: string, currency: string): string {
  return Object.hasOwn(CURRENCIES, currency)
    ? formatMoney(money(BigInt(minor), currency))
    : `${currency} ${minor}`
}

export function drawForm(pen: Pen, screen: Form, state: FormState): void {
  const { theme, layout, canvas } = pen
  const { unit, compact } = layout
  let { body } = layout
  const current = screen.fields[state.field]!
  const numeric = screen.fields.some((field) => field.input === 'digits')
  // On the smallest panels the strip takes the title's row, so that the field keeps its own.
  if (numeric) {
    if (compact) notForPin(pen, layout.title)
    else {
      const height = notForPin(pen, body)
      body = { ...body, y: body.y + height, height: body.height - height }
    }
  }
  const fieldHeight = (compact ? 32 : 60) * unit
  const visible = Math.max(1, Math.min(screen.fields.length, Math.floor(body.height / fieldHeight)))
  const top = Math.max(0, Math.min(state.field, screen.fields.length - visible))
  for (const [i, field] of screen.fields.entries()) {
    const value = state.values[i]!
    pen.alt.push(`${i === state.field ? '> ' : ''}${field.label}: ${value}`)
    if (i < top || i >= top + visible) continue
    const room = inset(
      { ...body, y: body.y + (i - top) * fieldHeight, height: fieldHeight },
      layout.margin,
      0,
    )
    const selected = i === state.field
    const label = { ...room, y: room.y + (compact ? 0 : 4 * unit), height: 16 * unit }
    let labelWidth = label.width
    if (selected && field.input === 'text') {
      const mode = pen.text(`form.letters.${state.letters}`)
      labelWidth -= line(pen, label, mode, { colour: theme.accent, bold: true }, 'right') + 4 * unit
    }
    line(pen, { ...label, width: labelWidth }, field.label, {
      colour: selected ? theme.text : theme.faint,
      bold: selected,
    })
    const box = {
      ...room,
      y: label.y + label.height + (compact ? 0 : 3 * unit),
      height: (compact ? 16 : 32) * unit,
    }
    if (!compact) {
      canvas.roundRect(box, 5 * unit, selected ? theme.accent : theme.line)
      canvas.roundRect(inset(box, selected ? 2 * unit : unit), 4 * unit, theme.field)
    }
    drawTyped(pen, inset(box, compact ? 0 : 7 * unit, 0), value, selected)
  }
  if (state.tooShort) {
    const text = pen.text('form.tooShort', { count: current.minLength ?? 0 })
    pen.alt.push(text)
    const y = body.y + visible * fieldHeight + 4 * unit
    const room = inset({ ...body, y, height: body.y + body.height - y }, layout.margin, 0)
    if (room.height >= 16 * unit)
      lines(pen, room, wrap(pen.font, text, room.width / unit, 3), { colour: theme.error })
    else {
      canvas.fill(layout.title, theme.error)
      line(pen, inset(layout.title, layout.margin, 0), text, { colour: theme.onTone })
    }
  }
}

/** Typed text with a cursor; where it is too long its end is seen. */
function drawTyped(pen: Pen, room: Rect, value: string, cursor: boolean): void {
  const { theme, layout, font, canvas } = pen
  const scale = layout.unit
  const columns = Math.floor(room.width / scale) - 4
  const characters = [...value]
  let from = 0
  while (from < characters.length && font.measure(characters.slice(from).join('')) > columns) from++
  const width = line(pen, room, characters.slice(from).join(''), { colour: theme.text, scale })
  if (cursor) {
    const height = Math.min(room.height - 2, 18 * scale)
    canvas.fill(
      {
        x: room.x + width + scale,
        y: room.y + Math.floor((room.height - height) / 2),
        width: 2 * scale,
        height,
      },
      theme.mono ? theme.text : theme.accent,
    )
  }
}

export function drawAmount(pen: Pen, screen: Amount, state: AmountState): void {
  const { theme, layout, canvas, font } = pen
  const { unit, compact } = layout
  const strip = notForPin(pen, compact ? layout.title : layout.body)
  const top = compact ? 0 : strip + 8 * unit
  const room = inset(
    { ...layout.body, y: layout.body.y + top, height: layout.body.height - top },
    layout.margin,
    0,
  )
  const columns = room.width / unit
  const notice = boundNotice(pen, screen, state)
  const step = lineHeight(layout)
  // The amount comes first, then why it can't be so, then what it is for.
  const noticeLines = notice === undefined ? [] : wrap(font, notice, columns, compact ? 1 : 2)
  const noticeHeight = noticeLines.length * step + (noticeLines.length > 0 && !compact ? 6 * unit : 0)
  const boxLeast = Math.max(GLYPH_HEIGHT, compact ? 16 : 36) * unit
  const spare = room.height - noticeHeight - boxLeast - 8 * unit
  const textLines =
    screen.text === undefined || compact
      ? []
      : wrap(font, screen.text, columns, Math.max(0, Math.min(4, Math.floor(spare / step))))
  const textHeight = textLines.length === 0 ? 0 : textLines.length * step + 8 * unit
  if (screen.text !== undefined) pen.alt.push(screen.text)
  lines(pen, { ...room, height: textHeight }, textLines, { colour: theme.faint }, 'center')

  const left = room.height - textHeight - noticeHeight
  const box = { ...room, y: room.y + textHeight, height: compact ? left : Math.min(72 * unit, left) }
  if (!compact) {
    canvas.roundRect(box, 8 * unit, notice === undefined ? theme.accent : theme.error)
    canvas.roundRect(inset(box, 2 * unit), 6 * unit, theme.field)
  }
  const value = moneyText(state.digits === '' ? '0' : state.digits, screen.currency)
  const inner = inset(box, compact ? 0 : 8 * unit, 0)
  const scale = fittingScale(pen, value, inner.width, inner.height, 3)
  const faded = state.digits === '' || state.preset
  line(pen, inner, value, { colour: faded ? theme.faint : theme.text, scale, bold: true }, 'center')
  pen.alt.push(value)
  if (notice !== undefined) {
    pen.alt.push(notice)
    const y = box.y + box.height + (compact ? 0 : 6 * unit)
    lines(
      pen,
      { ...room, y, height: noticeLines.length * step },
      noticeLines,
      { colour: theme.error },
      'center',
    )
  }
}

function boundNotice(pen: Pen, screen: Amount, state: AmountState): string | undefined {
  switch (state.notice) {
    case 'tooLow':
      return pen.text('amount.tooLow', { amount: moneyText(lowerBound(screen).toString(), screen.currency) })
    case 'tooHigh':
      return pen.text('amount.tooHigh', { amount: moneyText(screen.max?.minor ?? '0', screen.currency) })
    case undefined:
      return undefined
  }
}
