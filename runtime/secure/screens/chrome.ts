// What frames every screen: the secure world's top row, the title, and the row of keys at the bottom.
import type { Rect } from '../../../hal/display.js'
import { ICONS } from './icons.js'
import { inset } from './layout.js'
import { line, type Pen, sign } from './pen.js'
import type { Scene, Tone } from './scene.js'

/** The reserved row: who asks on the left, how the terminal stands on the right. No app text is drawn in it but a name. */
export function drawStatusRow(pen: Pen, scene: Scene): void {
  const { canvas, theme, layout } = pen
  const row = layout.status
  const unit = layout.unit
  const colour = scene.secure ? theme.secureText : theme.statusText
  canvas.fill(row, scene.secure ? theme.secure : theme.status)
  if (theme.mono)
    canvas.fill(
      { ...row, y: row.y + row.height - 1, height: 1 },
      scene.secure ? theme.background : theme.line,
    )
  const right = drawFacts(pen, scene)
  const iconY = row.y + Math.floor((row.height - 11 * unit) / 2)
  let left = row.x + (layout.compact ? 1 : 8 * unit)
  if (scene.secure) {
    canvas.bitmap(left, iconY, ICONS.lock, colour, unit)
    left += 13 * unit
  }
  const name = scene.secure ? pen.text('status.secure') : scene.owner
  line(pen, { ...row, x: left, width: Math.max(0, right - left - 4 * unit) }, name, {
    colour,
    bold: true,
  })
  const { status } = scene
  pen.alt.push(
    `[${scene.secure ? `${pen.text('status.secure')}` : scene.owner}] ${[
      scene.time,
      pen.text(`status.network.${status.network}`),
      pen.text(`status.cloud.${status.cloud}`),
      ...(status.printer === 'none' ? [] : [pen.text(`status.printer.${status.printer}`)]),
      ...(status.outbox > 0 ? [pen.text('status.outbox', { count: status.outbox })] : []),
      ...(status.battery ? [pen.text('status.battery', { percent: status.battery.percent })] : []),
    ].join(' · ')}`,
  )
}

/** Icons from the right edge inwards; returns where they begin. */
function drawFacts(pen: Pen, { status, time, secure }: Scene): number {
  const { canvas, theme, layout } = pen
  const { unit, compact } = layout
  const row = layout.status
  const iconY = row.y + Math.floor((row.height - 11 * unit) / 2)
  let x = row.x + row.width - (compact ? 1 : 6 * unit)
  const place = (width: number): number => {
    x -= width * unit
    const at = x
    x -= (compact ? 3 : 6) * unit
    return at
  }
  const colour = secure ? theme.secureText : theme.statusText
  const alarm = theme.mono || secure ? colour : theme.caution
  if (!compact) {
    const at = place(40)
    canvas.text(at, row.y + Math.floor((row.height - 16 * unit) / 2), time, {
      colour,
      scale: unit,
    })
  }
  if (status.battery !== undefined) drawBattery(pen, place(18), iconY, status.battery, colour, alarm)
  if (status.printer === 'problem' || status.printer === 'paperLow')
    canvas.bitmap(place(11), iconY, ICONS.printerProblem, alarm, unit)
  else if (status.printer === 'ready' && !compact)
    canvas.bitmap(place(11), iconY, ICONS.printer, colour, unit)
  if (!compact) {
    const cloud = { connected: ICONS.cloud, connecting: ICONS.cloudConnecting, offline: ICONS.cloudOffline }
    canvas.bitmap(place(13), iconY, cloud[status.cloud], colour, unit)
  }
  canvas.bitmap(
    place(11),
    iconY,
    status.network === 'online' ? ICONS.online : ICONS.offline,
    status.network === 'online' ? colour : alarm,
    unit,
  )
  if (status.outbox > 0 && !compact) canvas.bitmap(place(9), iconY, ICONS.outbox, colour, unit)
  return x
}

function drawBattery(
  pen: Pen,
  x: number,
  y: number,
  battery: { readonly percent: number; readonly charging: boolean },
  normal: number,
  alarm: number,
): void {
  const { canvas, layout } = pen
  const unit = layout.unit
  const colour = battery.percent <= 15 && !battery.charging ? alarm : normal
  const box = { x, y: y + unit, width: 16 * unit, height: 9 * unit }
  canvas.fill({ ...box, height: unit }, colour)
  canvas.fill({ ...box, y: box.y + box.height - unit, height: unit }, colour)
  canvas.fill({ ...box, width: unit }, colour)
  canvas.fill({ ...box, x: box.x + box.width - unit, width: unit }, colour)
  canvas.fill({ x: x + 16 * unit, y: y + 4 * unit, width: 2 * unit, height: 3 * unit }, colour)
  const percent = Math.max(0, Math.min(100, battery.percent))
  if (battery.charging) canvas.bitmap(x + 5 * unit, y + 2 * unit, ICONS.charging, colour, unit)
  else
    canvas.fill(
      { x: x + 2 * unit, y: y + 3 * unit, width: Math.round((12 * unit * percent) / 100), height: 5 * unit },
      colour,
    )
}

export interface TitleOptions {
  readonly tone?: Tone
  /** A short counter such as `3/12`. */
  readonly right?: string
  /** Drawn in the title's place; the words still name the title. */
  readonly shown?: string
}

/** The title, on the tone's colour where there is one. */
export function drawTitle(pen: Pen, title: string, options: TitleOptions = {}): void {
  const { canvas, theme, layout } = pen
  const { title: row, unit } = layout
  const loud = options.tone !== undefined && options.tone !== 'info'
  const ground = loud ? theme[options.tone as 'success' | 'warning' | 'error'] : theme.field
  const colour = loud ? theme.onTone : theme.text
  canvas.fill(row, ground)
  if (!loud && !layout.compact)
    canvas.fill({ ...row, y: row.y + row.height - 2 * unit, height: 2 * unit }, theme.accent)
  const room = layout.compact ? row : { ...inset(row, layout.margin, 0), height: row.height - 2 * unit }
  let width = room.width
  if (options.right !== undefined) {
    width -= line(pen, room, options.right, { colour: loud ? colour : theme.faint }, 'right') + 6 * unit
  }
  line(pen, { ...room, width: Math.max(0, width) }, options.shown ?? title, { colour, bold: true })
  pen.alt.push(options.right === undefined ? title : `${title} (${options.right})`)
}

/** One of the two labels of the key row. `cancel` and `enter` show that key's sign beside it. */
export interface KeyLabel {
  readonly key: 'soft' | 'cancel' | 'enter'
  readonly label: string
}

/** Left and right labels over the keys they belong to. */
export function drawKeyRow(pen: Pen, left: KeyLabel | undefined, right: KeyLabel | undefined): void {
  const { canvas, theme, layout } = pen
  const row = layout.keys
  for (const [label, i] of [
    [left, 1],
    [right, 2],
  ] as const) {
    if (label !== undefined)
      pen.alt.push(`[${label.key === 'soft' ? `soft${i}` : label.key}: ${label.label}]`)
  }
  if (row.height === 0) return
  canvas.fill(row, theme.keys)
  if (!layout.compact) canvas.fill({ ...row, height: layout.unit }, theme.line)
  const half = Math.floor(row.width / 2)
  const pad = layout.compact ? 1 : 4 * layout.unit
  if (left !== undefined) drawKey(pen, { ...row, x: row.x + pad, width: half - pad - 2 }, left, 'left')
  if (right !== undefined)
    drawKey(pen, { ...row, x: row.x + half + 2, width: half - pad - 2 }, right, 'right')
}

function drawKey(pen: Pen, room: Rect, label: KeyLabel, side: 'left' | 'right'): void {
  const { canvas, theme, layout } = pen
  const { unit, compact } = layout
  if (label.key === 'soft') {
    const width = Math.min(room.width, pen.font.measure(label.label) * unit + (compact ? 4 : 16 * unit))
    const box = {
      x: side === 'left' ? room.x : room.x + room.width - width,
      y: room.y + (compact ? 0 : 4 * unit),
      width,
      height: room.height - (compact ? 0 : 7 * unit),
    }
    canvas.roundRect(box, compact ? 2 : 5 * unit, theme.accent)
    line(pen, inset(box, compact ? 2 : 4 * unit, 0), label.label, { colour: theme.onAccent }, 'center')
    return
  }
  const size = compact ? 11 : 16 * unit
  const gap = compact ? 3 : 6 * unit
  const width = Math.min(room.width - size - gap, pen.font.measure(label.label) * unit)
  const edge = compact ? 0 : 4 * unit
  const x = side === 'left' ? room.x + edge : room.x + room.width - edge - size - gap - width
  const y = room.y + Math.floor((room.height - size) / 2) + (compact ? 0 : unit)
  if (label.key === 'cancel') sign(pen, x, y, size, 'error')
  else {
    canvas.disc(x, y, size, theme.success)
    canvas.disc(x + size * 0.25, y + size * 0.25, size / 2, theme.onTone)
    canvas.disc(x + size * 0.375, y + size * 0.375, size / 4, theme.success)
  }
  line(pen, { ...room, x: x + size + gap, y: room.y + (compact ? 0 : unit), width }, label.label, {
    colour: theme.keysText,
  })
}
