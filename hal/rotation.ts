// Turned panels: how a frame lies on glass that is mounted in another direction than it is looked at.
import type { Frame } from './display.js'

/** Degrees by which the picture is turned clockwise on the panel. */
export type Rotation = 0 | 90 | 180 | 270
export const ROTATIONS = [0, 90, 180, 270] as const

export interface Size {
  readonly width: number
  readonly height: number
}

/** The size that one sees of a panel, or the panel's of what one sees. */
export function turnedSize({ width, height }: Size, rotation: Rotation): Size {
  return rotation === 90 || rotation === 270 ? { width: height, height: width } : { width, height }
}

/** The pixels of `frame` as they lie on the panel, row by row. */
export function turnedPixels(frame: Frame, rotation: Rotation): Uint16Array {
  const { width, height, pixels } = frame
  if (rotation === 0) return pixels.slice()
  if (rotation === 180) return pixels.slice().reverse()
  const turned = new Uint16Array(pixels.length)
  // The panel's rows are the frame's columns: from below for 90, from the right for 270.
  let at = 0
  for (let row = 0; row < width; row++) {
    const x = rotation === 90 ? row : width - 1 - row
    for (let column = 0; column < height; column++) {
      const y = rotation === 90 ? height - 1 - column : column
      turned[at++] = pixels[y * width + x]!
    }
  }
  return turned
}

/** A point of the panel (0 to 1 in both directions) as one sees it. */
export function seenPoint(x: number, y: number, rotation: Rotation): { x: number; y: number } {
  switch (rotation) {
    case 0:
      return { x, y }
    case 90:
      return { x: y, y: 1 - x }
    case 180:
      return { x: 1 - x, y: 1 - y }
    case 270:
      return { x: 1 - y, y: x }
  }
}
