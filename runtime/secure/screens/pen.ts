// What every view draws with, and the few shapes that all of them share.
import type { Font } from '../../../hal/base/font/font.js'
import type { Rect } from '../../../hal/display.js'
import type { Canvas, TextStyle } from './canvas.js'
import { type Layout, lineHeight } from './layout.js'
import { truncate } from './text-layout.js'
import type { Theme } from './theme.js'

export interface Pen {
  readonly canvas: Canvas
  readonly layout: Layout
  readonly theme: Theme
  readonly font: Font
  /** The screen in words, in the order drawn. */
  readonly alt: string[]
  readonly phase: number
  text(key: string, parameters?: Readonly<Record<string, string | number>>): string
}

/** One line inside `room`, cut with an ellipsis where too long, aligned; returns the width it took. */
export function line(
  pen: Pen,
  room: Rect,
  text: string,
  style: TextStyle,
  align: 'left' | 'center' | 'right' = 'left',
): number {
  const scale = style.scale ?? pen.layout.unit
  const shown = truncate(pen.font, text, Math.floor(room.width / scale))
  const width = pen.font.measure(shown) * scale
  const slack = room.width - width
  const x = room.x + (align === 'left' ? 0 : align === 'right' ? slack : Math.floor(slack / 2))
  const y = room.y + Math.floor((room.height - 16 * scale) / 2)
  pen.canvas.text(x, y, shown, { ...style, scale })
  return width
}

/** Lines of wrapped text from the top of `room`; those that don't fit are left out. */
export function lines(
  pen: Pen,
  room: Rect,
  texts: readonly string[],
  style: TextStyle,
  align: 'left' | 'center' = 'left',
): void {
  const height = lineHeight(pen.layout)
  for (const [i, text] of texts.entries()) {
    if ((i + 1) * height > room.height) return
    line(pen, { ...room, y: room.y + i * height, height }, text, style, align)
  }
}

/** The largest whole scale up to `most` units at which a text fits a width. */
export function fittingScale(pen: Pen, text: string, width: number, height: number, most: number): number {
  const columns = Math.max(1, pen.font.measure(text))
  const scale = Math.min(most * pen.layout.unit, Math.floor(width / columns), Math.floor(height / 16), 6)
  return Math.max(1, scale)
}

/** A bar at the right edge that says which part of the whole is seen; nothing where all of it is. */
export function scrollBar(pen: Pen, room: Rect, first: number, visible: number, total: number): void {
  if (total <= visible || room.height <= 0) return
  const width = pen.layout.compact ? 2 : 3 * pen.layout.unit
  const x = room.x + room.width - width
  if (!pen.theme.mono) pen.canvas.fill({ x, y: room.y, width, height: room.height }, pen.theme.line)
  const height = Math.max(6, Math.floor((room.height * visible) / total))
  const y = room.y + Math.floor(((room.height - height) * first) / Math.max(1, total - visible))
  pen.canvas.fill({ x, y, width, height }, pen.theme.mono ? pen.theme.text : pen.theme.faint)
}

/** A sign in a coloured disc: tick, cross, exclamation mark or i. */
export function sign(
  pen: Pen,
  x: number,
  y: number,
  size: number,
  tone: 'info' | 'success' | 'warning' | 'error',
) {
  const { canvas, theme } = pen
  const ground = tone === 'info' ? theme.accent : theme[tone]
  canvas.disc(x, y, size, ground)
  const at = (fraction: number) => fraction * size
  const thick = Math.max(1.5, size / 9)
  const stroke = (x1: number, y1: number, x2: number, y2: number) =>
    canvas.stroke(x + at(x1), y + at(y1), x + at(x2), y + at(y2), thick, theme.onTone)
  switch (tone) {
    case 'success':
      stroke(0.28, 0.53, 0.44, 0.68)
      stroke(0.44, 0.68, 0.73, 0.34)
      break
    case 'error':
      stroke(0.33, 0.33, 0.67, 0.67)
      stroke(0.67, 0.33, 0.33, 0.67)
      break
    case 'warning':
      stroke(0.5, 0.24, 0.5, 0.55)
      stroke(0.5, 0.75, 0.5, 0.76)
      break
    case 'info':
      stroke(0.5, 0.25, 0.5, 0.26)
      stroke(0.5, 0.46, 0.5, 0.76)
      break
  }
}
