// A signature as it grows: which contacts are strokes, where the fields are, when it is complete.
import { MAX_STROKE_POINTS, MAX_STROKES, type StrokePoint } from '../../signature-pad.js'

/** A rectangle in pixels of the display, as one sees it. */
export interface Area {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}
type Point = { readonly x: number; readonly y: number }

export interface SignatureFields {
  readonly area: Area
  /** A touch there begins anew. */
  readonly clear?: Area | undefined
  /** A touch there ends the signature, once there is a stroke. */
  readonly done?: Area | undefined
}

const inside = (area: Area | undefined, { x, y }: Point) =>
  area !== undefined && x >= area.x && y >= area.y && x < area.x + area.width && y < area.y + area.height
/** To a tenth of a pixel, within the area. */
const within = (value: number, most: number) => Math.round(Math.min(most, Math.max(0, value)) * 10) / 10

export interface SignatureCapture {
  readonly strokes: readonly (readonly StrokePoint[])[]
  readonly cleared: boolean
  readonly finished: boolean
  /** Since when nothing touches; undefined before the first stroke and amid one. */
  readonly restingSinceMs: number | undefined
  touch(id: number, at: Point, pressure: number | undefined, atMs: number): void
  lift(nowMs: number): void
}

/** One signature as it grows. Contacts that began before `sinceMs`, and the one of id `touching`, are of another story. */
export function createSignatureCapture(
  { area, clear, done }: SignatureFields,
  sinceMs: number,
  touching: number | undefined,
): SignatureCapture {
  const strokes: StrokePoint[][] = []
  /** The contact that is there; it draws if it began in the area. */
  let pen: { readonly id: number; readonly stroke: StrokePoint[] | undefined } | undefined =
    touching === undefined ? undefined : { id: touching, stroke: undefined }
  let firstMs: number | undefined
  let restingSinceMs: number | undefined
  let cleared = false
  let finished = false

  const begin = (id: number, at: Point, atMs: number) => {
    pen = { id, stroke: undefined }
    if (atMs < sinceMs) return
    if (inside(clear, at)) cleared = true
    else if (inside(done, at)) finished = strokes.length > 0
    else if (inside(area, at)) {
      pen = { id, stroke: [] }
      restingSinceMs = undefined
      firstMs ??= atMs
      if (strokes.length < MAX_STROKES) strokes.push(pen.stroke!)
    }
  }
  return {
    strokes,
    get cleared() {
      return cleared
    },
    get finished() {
      return finished
    },
    get restingSinceMs() {
      return restingSinceMs
    },
    touch(id, at, pressure, atMs) {
      if (cleared || finished) return
      if (pen?.id !== id) begin(id, at, atMs)
      const stroke = pen?.stroke
      if (stroke === undefined || stroke.length >= MAX_STROKE_POINTS) return
      const point: StrokePoint = {
        x: within(at.x - area.x, area.width),
        y: within(at.y - area.y, area.height),
        t: Math.round(atMs - firstMs!),
        ...(pressure === undefined ? {} : { pressure }),
      }
      const last = stroke.at(-1)
      const same = last?.x === point.x && last.y === point.y && last.pressure === point.pressure
      if (!same) stroke.push(point)
    },
    lift(nowMs) {
      if (pen?.stroke !== undefined) restingSinceMs = nowMs
      pen = undefined
    },
  }
}
