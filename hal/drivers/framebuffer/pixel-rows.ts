// Rows of RGB565 pixels in a framebuffer's form: which differ, and their bytes (little-endian, as on both machines we support).

export interface RowRun {
  readonly row: number
  readonly rows: number
}

/** Rows that differ, neighbours as one run; all where nothing is known of what is shown. */
export function changedRows(before: Uint16Array | undefined, after: Uint16Array, width: number): RowRun[] {
  const height = after.length / width
  if (before === undefined) return [{ row: 0, rows: height }]
  const runs: RowRun[] = []
  let first = -1
  for (let row = 0; row <= height; row++) {
    const differs = row < height && rowDiffers(before, after, row * width, width)
    if (differs && first < 0) first = row
    if (!differs && first >= 0) {
      runs.push({ row: first, rows: row - first })
      first = -1
    }
  }
  return runs
}

function rowDiffers(before: Uint16Array, after: Uint16Array, from: number, width: number): boolean {
  for (let at = from; at < from + width; at++) if (before[at] !== after[at]) return true
  return false
}

export interface RowForm {
  readonly bitsPerPixel: 16 | 32
  readonly stride: number
  /** Blue where others have red. */
  readonly swapped: boolean
}

/** The bytes of a run, rows `stride` apart; the last row ends with its last pixel. */
export function rowBytes(
  pixels: Uint16Array,
  width: number,
  { row, rows }: RowRun,
  { bitsPerPixel, stride, swapped }: RowForm,
): Uint8Array {
  const bytes = new Uint8Array((rows - 1) * stride + (width * bitsPerPixel) / 8)
  const view = new DataView(bytes.buffer)
  for (let line = 0; line < rows; line++) {
    const from = (row + line) * width
    for (let x = 0; x < width; x++) {
      const pixel = pixels[from + x]!
      if (bitsPerPixel === 16) view.setUint16(line * stride + x * 2, swapped ? swap565(pixel) : pixel, true)
      else view.setUint32(line * stride + x * 4, xrgb8888(swapped ? swap565(pixel) : pixel), true)
    }
  }
  return bytes
}

const swap565 = (pixel: number) => ((pixel & 0x1f) << 11) | (pixel & 0x07e0) | (pixel >> 11)

/** Five and six bits spread over eight so that full stays full. */
function xrgb8888(pixel: number): number {
  const red = pixel >> 11
  const green = (pixel >> 5) & 63
  const blue = pixel & 31
  return (
    ((((red << 3) | (red >> 2)) << 16) |
      (((green << 2) | (green >> 4)) << 8) |
      ((blue << 3) | (blue >> 2))) >>>
    0
  )
}
