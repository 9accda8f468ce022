// How the secure world's own screens look: home, the card in its slot, PIN and codes as bullets.
import type { Rect } from '../../../hal/display.js'
import { rgb } from './canvas.js'
import { notForPin } from './form-view.js'
import { inset, lineHeight } from './layout.js'
import { fittingScale, line, lines, type Pen, sign } from './pen.js'
import type { Scene, SystemScreen } from './scene.js'
import { wrap } from './text-layout.js'
import { largeAmount } from './text-view.js'

type Home = Extract<SystemScreen, { kind: 'home' }>
type Card = Extract<SystemScreen, { kind: 'card' }>
type Secret = Extract<SystemScreen, { kind: 'secret' }>

export function drawHome(pen: Pen, screen: Home, scene: Scene): void {
  const { layout, theme } = pen
  const { unit, compact, body } = layout
  const room = inset(
    { ...body, y: layout.title.y, height: body.y + body.height - layout.title.y },
    layout.margin,
    compact ? 0 : 14 * unit,
  )
  const clockHeight = compact ? 16 : 72 * unit
  const scale = fittingScale(pen, scene.time, room.width, clockHeight, compact ? 1 : 4)
  if (!compact)
    line(pen, { ...room, height: clockHeight }, scene.time, { colour: theme.text, scale }, 'center')
  let y = room.y + (compact ? 0 : clockHeight)
  const name = { ...room, y, height: (compact ? 16 : 40) * unit }
  line(
    pen,
    name,
    screen.title,
    {
      colour: theme.accent,
      bold: true,
      scale: fittingScale(pen, screen.title, room.width, name.height, compact ? 1 : 2),
    },
    'center',
  )
  pen.alt.push(screen.title)
  y += name.height + (compact ? 0 : 8 * unit)
  const text = screen.lines.flatMap((part) => wrap(pen.font, part, room.width / unit, 6))
  lines(
    pen,
    { ...room, y, height: Math.max(0, room.y + room.height - y) },
    text,
    { colour: theme.faint },
    'center',
  )
  pen.alt.push(...screen.lines)
  if (screen.busy && !compact) dots(pen, { ...room, y: room.y + room.height - 12 * unit, height: 10 * unit })
}

/** Three dots, one after the other: something is under way. */
function dots(pen: Pen, room: Rect): void {
  const size = 8 * pen.layout.unit
  const gap = 10 * pen.layout.unit
  const x = room.x + Math.floor((room.width - 3 * size - 2 * gap) / 2)
  for (let i = 0; i < 3; i++)
    pen.canvas.disc(
      x + i * (size + gap),
      room.y,
      size,
      Math.floor(pen.phase / 2) % 3 === i ? pen.theme.accent : pen.theme.line,
    )
}

export function drawCard(pen: Pen, screen: Card): void {
  const { layout, theme } = pen
  const { unit, compact, body } = layout
  const room = inset(body, layout.margin, compact ? 0 : 4 * unit)
  const colour =
    screen.tone === 'error' ? theme.error : screen.tone === 'success' ? theme.success : theme.text
  if (compact) {
    line(pen, { ...room, height: 16 }, screen.amount, { colour: theme.text, bold: true })
    pen.alt.push(screen.amount, screen.text)
    const below = { ...room, y: room.y + 16, height: room.height - 16 }
    lines(pen, below, wrap(pen.font, screen.text, room.width, Math.floor(below.height / 16)), { colour })
    return
  }
  const amountHeight = Math.min(56 * unit, Math.floor(room.height * 0.28))
  largeAmount(pen, { ...room, height: amountHeight }, screen.amount)
  const text = wrap(pen.font, screen.text, room.width / unit, 3)
  const textHeight = Math.max(2, text.length) * lineHeight(layout)
  const picture = {
    ...room,
    y: room.y + amountHeight,
    height: Math.max(0, room.height - amountHeight - textHeight),
  }
  if (picture.height >= 70 * unit) drawSlot(pen, picture, screen)
  lines(
    pen,
    { ...room, y: room.y + room.height - textHeight, height: textHeight },
    text,
    { colour, bold: true },
    'center',
  )
  pen.alt.push(screen.text)
}

/** A terminal from above with its slot, and the card on its way; about 100 units high. */
function drawSlot(pen: Pen, room: Rect, { picture }: Card): void {
  const { canvas, theme } = pen
  const k = Math.max(1, Math.min(Math.floor(room.height / 96), Math.floor(room.width / 130)))
  const cx = room.x + Math.floor(room.width / 2)
  const top = room.y + Math.max(0, Math.floor((room.height - 104 * k) / 2))
  const body = { x: cx - 52 * k, y: top, width: 104 * k, height: 40 * k }
  const cardWidth = 76 * k
  const inSlot = picture === 'reading' || picture === 'online'
  const moving =
    picture === 'insert'
      ? 3 - (Math.floor(pen.phase / 2) % 4)
      : picture === 'remove'
        ? Math.floor(pen.phase / 2) % 4
        : 0
  const cardY = top + (inSlot ? 8 : picture === 'unreadable' ? 46 : 40 + moving * 3) * k
  const cardColour = theme.mono ? theme.text : rgb(0x2f, 0x6f, 0xd6)
  const dark = theme.mono ? theme.background : rgb(0x1f, 0x55, 0xae)
  const gold = theme.mono ? theme.background : rgb(0xf0, 0xc2, 0x4b)
  const card = { x: cx - cardWidth / 2, y: cardY, width: cardWidth, height: 56 * k }
  canvas.within(room, () => {
    canvas.roundRect(card, 6 * k, cardColour)
    const chip = { x: card.x + 28 * k, y: card.y + 8 * k, width: 20 * k, height: 16 * k }
    canvas.roundRect(chip, 3 * k, gold)
    canvas.fill({ x: chip.x + 9 * k, y: chip.y, width: k, height: chip.height }, dark)
    canvas.fill({ x: chip.x, y: chip.y + 5 * k, width: chip.width, height: k }, dark)
    canvas.fill({ x: chip.x, y: chip.y + 10 * k, width: chip.width, height: k }, dark)
    for (let group = 0; group < 4; group++)
      canvas.fill(
        { x: card.x + (8 + group * 16) * k, y: card.y + 40 * k, width: 11 * k, height: 3 * k },
        theme.mono ? dark : rgb(0xbf, 0xd6, 0xf7),
      )
    canvas.roundRect(body, 8 * k, theme.mono ? theme.background : theme.status)
    canvas.fill({ ...body, y: body.y + body.height - 9 * k, height: 9 * k }, theme.status)
    canvas.roundRect(
      { x: body.x + 8 * k, y: body.y + body.height - 6 * k, width: body.width - 16 * k, height: 3 * k },
      k,
      theme.mono ? theme.text : theme.statusText,
    )
    if (inSlot) {
      for (let i = 0; i < 3; i++)
        canvas.disc(
          cx + (i - 1) * 16 * k - 4 * k,
          body.y + 13 * k,
          8 * k,
          Math.floor(pen.phase / 2) % 3 === i ? theme.caution : theme.faint,
        )
    } else if (picture === 'unreadable') sign(pen, cx - 11 * k, body.y + 7 * k, 22 * k, 'error')
    else {
      const points = picture === 'insert' ? -1 : 1
      const middle = body.y + 17 * k
      const head = middle + points * 9 * k
      const colour = theme.mono ? theme.text : picture === 'insert' ? theme.caution : rgb(0x6f, 0xe0, 0xa4)
      canvas.stroke(cx, middle - points * 9 * k, cx, head, 4 * k, colour)
      canvas.stroke(cx - 8 * k, head - points * 8 * k, cx, head, 4 * k, colour)
      canvas.stroke(cx + 8 * k, head - points * 8 * k, cx, head, 4 * k, colour)
    }
  })
}

/** Digits that a PIN may have (ISO 9564-1). */
const MOST_DIGITS = 12

export function drawSecret(pen: Pen, screen: Secret): void {
  const { layout, theme, canvas } = pen
  const { unit, compact, body } = layout
  // On the smallest panels the strip takes the title's row, unless a notice has it.
  const place = compact ? layout.title : body
  const strips = screen.notForPin === true && !(compact && screen.notice !== undefined)
  const height = strips ? notForPin(pen, place) : 0
  const strip = compact ? 0 : height
  const below = { ...body, y: body.y + strip, height: body.height - strip }
  const room = inset(below, layout.margin, compact ? 0 : 6 * unit)
  const bullets = '•'.repeat(Math.min(MOST_DIGITS, screen.entered))
  let y = room.y
  if (screen.amount !== undefined) {
    const height = compact ? 16 : 56 * unit
    if (compact)
      line(pen, { ...room, y, height }, screen.amount, { colour: theme.text, bold: true }, 'center')
    if (compact) pen.alt.push(screen.amount)
    else largeAmount(pen, { ...room, y, height }, screen.amount)
    y += height
  }
  if (screen.notice !== undefined) {
    pen.alt.push(screen.notice)
    if (!compact) {
      const text = wrap(pen.font, screen.notice, room.width / unit - 12, 2)
      const height = text.length * lineHeight(layout) + 6 * unit
      canvas.roundRect({ ...room, y, height }, 5 * unit, theme.error)
      lines(pen, inset({ ...room, y, height }, 6 * unit, 3 * unit), text, { colour: theme.onTone }, 'center')
      y += height + 6 * unit
    }
  }
  pen.alt.push(screen.text, screen.typed ?? (bullets === '' ? '_' : bullets))
  const rows =
    screen.amount !== undefined && compact
      ? []
      : wrap(
          pen.font,
          compact ? screen.text.split('\n').at(-1)! : screen.text,
          room.width / unit,
          compact ? 1 : 3,
        )
  if (rows.length > 0) {
    const height = rows.length * lineHeight(layout)
    lines(pen, { ...room, y, height }, rows, { colour: theme.faint }, 'center')
    y += height + (compact ? 0 : 6 * unit)
  }
  const box = {
    ...room,
    y,
    height: Math.max(0, Math.min(compact ? 16 : 52 * unit, room.y + room.height - y)),
  }
  if (!compact) {
    canvas.roundRect(box, 8 * unit, theme.secure)
    canvas.roundRect(inset(box, 2 * unit), 6 * unit, theme.field)
  } else canvas.fill({ ...box, y: box.y + box.height - 1, height: 1 }, theme.line)
  if (screen.typed !== undefined) {
    const scale = fittingScale(pen, screen.typed, box.width - 16 * unit, box.height, compact ? 1 : 2)
    line(pen, box, screen.typed, { colour: theme.text, scale, bold: true }, 'center')
    return
  }
  const size = Math.min(compact ? 7 : 12 * unit, Math.floor((box.width - 16 * unit) / (MOST_DIGITS * 1.4)))
  const gap = Math.max(2, Math.floor(size * 0.4))
  const width = screen.entered * size + Math.max(0, screen.entered - 1) * gap
  for (let i = 0; i < Math.min(MOST_DIGITS, screen.entered); i++)
    canvas.disc(
      box.x + Math.floor((box.width - width) / 2) + i * (size + gap),
      box.y + Math.floor((box.height - size) / 2),
      size,
      theme.text,
    )
}
