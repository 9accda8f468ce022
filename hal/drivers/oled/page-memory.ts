// The memory of small OLED controllers: pages of eight rows, a byte a column, lowest bit uppermost; and what to send of it.
import type { Frame } from '../../display.js'
import { isLit } from '../../frame.js'
import { type Rotation, turnedPixels } from '../../rotation.js'

/** Pages and columns to send, both ends included. */
export interface PageRect {
  readonly page: number
  readonly lastPage: number
  readonly column: number
  readonly lastColumn: number
}

/** Packs a frame, turned as the panel is; `width` is the panel's, a multiple of eight rows its height. */
export function packPages(frame: Frame, rotation: Rotation, width: number): Uint8Array {
  const pixels = turnedPixels(frame, rotation)
  const pages = new Uint8Array(pixels.length / 8)
  for (let at = 0; at < pixels.length; at++) {
    if (!isLit(pixels[at]!)) continue
    const row = Math.floor(at / width)
    pages[(row >> 3) * width + (at % width)]! |= 1 << (row & 7)
  }
  return pages
}

/** The bytes of a rectangle, page after page. */
export function pageBytes(pages: Uint8Array, width: number, rect: PageRect): Uint8Array {
  const columns = rect.lastColumn - rect.column + 1
  const bytes = new Uint8Array(columns * (rect.lastPage - rect.page + 1))
  for (let page = rect.page, at = 0; page <= rect.lastPage; page++, at += columns) {
    const from = page * width + rect.column
    bytes.set(pages.subarray(from, from + columns), at)
  }
  return bytes
}

/** What sending a rectangle costs besides its bytes, and whether one transfer may span pages. */
export interface SendingCost {
  readonly overhead: number
  readonly spansPages: boolean
}

/**
 * The rectangles that hold every byte that differs, so that few bytes go over the wire: neighbours are sent as one
 * where the bytes between them cost less than another beginning.
 */
export function changedRects(
  before: Uint8Array | undefined,
  after: Uint8Array,
  width: number,
  cost: SendingCost,
): readonly PageRect[] {
  const pages = after.length / width
  const rects: PageRect[] = []
  for (let page = 0; page < pages; page++)
    rects.push(...changedRuns(before, after, width, page, cost.overhead))
  return cost.spansPages ? joined(rects, cost.overhead) : rects
}

function changedRuns(
  before: Uint8Array | undefined,
  after: Uint8Array,
  width: number,
  page: number,
  overhead: number,
): PageRect[] {
  const runs: PageRect[] = []
  let run: { page: number; lastPage: number; column: number; lastColumn: number } | undefined
  for (let column = 0; column < width; column++) {
    const at = page * width + column
    if (before !== undefined && before[at] === after[at]) continue
    if (run !== undefined && column - run.lastColumn - 1 <= overhead) run.lastColumn = column
    else {
      run = { page, lastPage: page, column, lastColumn: column }
      runs.push(run)
    }
  }
  return runs
}

const sizeOf = ({ page, lastPage, column, lastColumn }: PageRect) =>
  (lastPage - page + 1) * (lastColumn - column + 1)

/** Joins the pair that saves most until none does; a panel has at most some dozens of runs. */
function joined(rects: readonly PageRect[], overhead: number): PageRect[] {
  const left = [...rects]
  for (;;) {
    let best: { one: number; other: number; both: PageRect; saved: number } | undefined
    for (let one = 0; one < left.length; one++) {
      for (let other = one + 1; other < left.length; other++) {
        const both = union(left[one]!, left[other]!)
        const saved = overhead + sizeOf(left[one]!) + sizeOf(left[other]!) - sizeOf(both)
        if (saved >= 0 && (best === undefined || saved > best.saved)) best = { one, other, both, saved }
      }
    }
    if (best === undefined) return left
    left.splice(best.other, 1)
    left[best.one] = best.both
  }
}

function union(one: PageRect, other: PageRect): PageRect {
  return {
    page: Math.min(one.page, other.page),
    lastPage: Math.max(one.lastPage, other.lastPage),
    column: Math.min(one.column, other.column),
    lastColumn: Math.max(one.lastColumn, other.lastColumn),
  }
}
