// Pictures for display drivers: what differs between two frames, and what a monochrome panel lights.
import type { Frame, Rect } from './display.js'

/** The smallest rectangle that holds every differing pixel, or undefined where there is none. Sizes must agree. */
export function dirtyRect(before: Frame, after: Frame): Rect | undefined {
  const { width, height } = after
  let left = width
  let right = -1
  let top = -1
  let bottom = -1
  for (let y = 0; y < height; y++) {
    const row = y * width
    let first = -1
    for (let x = 0; x < width; x++) {
      if (before.pixels[row + x] === after.pixels[row + x]) continue
      if (first < 0) first = x
      if (x > right) right = x
    }
    if (first < 0) continue
    if (first < left) left = first
    if (top < 0) top = y
    bottom = y
  }
  return top < 0 ? undefined : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 }
}

/** True where a monochrome panel lights an RGB565 pixel: luminance (ITU-R BT.601) above one half. */
export function isLit(pixel: number): boolean {
  const red = ((pixel >> 11) & 31) / 31
  const green = ((pixel >> 5) & 63) / 63
  const blue = (pixel & 31) / 31
  return 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
}

/** The frame as a monochrome panel shows it: black (0) and white (FFFF) only. */
export function toMonochrome(frame: Frame): Frame {
  return { ...frame, pixels: frame.pixels.map((pixel) => (isLit(pixel) ? 0xffff : 0)) }
}
