// Where things are on a panel of any size from 128x64: top row, title, body, key row; a body may be a few lines only.
import type { DisplayCapabilities, Rect } from '../../../hal/display.js'

export interface Layout {
  readonly width: number
  readonly height: number
  /** Text scale and unit of every measure: 1 below 480 columns. */
  readonly unit: number
  /** No margins and no ornaments: panels below 160 rows. */
  readonly compact: boolean
  /** The secure world's own row. */
  readonly status: Rect
  readonly title: Rect
  readonly body: Rect
  /** Height 0 where there is no room for it. */
  readonly keys: Rect
  /** Empty columns left and right of the body's text. */
  readonly margin: number
}

/** A text line in pixels. */
export const lineHeight = (layout: Layout): number => (layout.compact ? 16 : 18) * layout.unit

/** Divides a panel. `keyRow` false gives the key row's room to the body. */
export function divide(capabilities: DisplayCapabilities, keyRow: boolean): Layout {
  const { width, height } = capabilities
  const unit = Math.max(1, Math.min(3, Math.floor(width / 240), Math.floor(height / 240)))
  const compact = height < 160
  const statusHeight = (compact ? 16 : 22) * unit
  const titleHeight = (compact ? 16 : 30) * unit
  const keysHeight = keyRow && height >= 96 ? (compact ? 16 : 30) * unit : 0
  const bodyTop = statusHeight + titleHeight
  return {
    width,
    height,
    unit,
    compact,
    status: { x: 0, y: 0, width, height: statusHeight },
    title: { x: 0, y: statusHeight, width, height: titleHeight },
    body: { x: 0, y: bodyTop, width, height: Math.max(0, height - bodyTop - keysHeight) },
    keys: { x: 0, y: height - keysHeight, width, height: keysHeight },
    margin: compact ? 1 : 10 * unit,
  }
}

/** A rectangle made smaller on all sides. */
export function inset(rect: Rect, x: number, y = x): Rect {
  return {
    x: rect.x + x,
    y: rect.y + y,
    width: Math.max(0, rect.width - 2 * x),
    height: Math.max(0, rect.height - 2 * y),
  }
}
