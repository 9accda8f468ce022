// What somebody sees who looks at an OLED module that is mounted turned.
import type { Frame } from '../../../hal/display.js'
import type { OledPanel } from './oled-panel.js'

/** The picture as the eye sees it, white where it is lit; `rotation` is how far clockwise it was turned on the glass. */
export function seenFrame(panel: OledPanel, rotation: 0 | 90 | 180 | 270): Frame {
  const glass = panel.seen()
  const upright = rotation === 0 || rotation === 180
  const [width, height] = upright ? [128, panel.rows] : [panel.rows, 128]
  const pixels = new Uint16Array(width * height)
  for (let y = 0; y < panel.rows; y++) {
    for (let x = 0; x < 128; x++) {
      const [seenX, seenY] =
        rotation === 0
          ? [x, y]
          : rotation === 90
            ? [y, 127 - x]
            : rotation === 180
              ? [127 - x, panel.rows - 1 - y]
              : [panel.rows - 1 - y, x]
      if (glass[y * 128 + x]) pixels[seenY * width + seenX] = 0xffff
    }
  }
  return { width, height, pixels }
}
