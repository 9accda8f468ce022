// Where the pen is on a touch panel, from reports of the Linux input layer: single touch, and multi-touch type B
// (Documentation/input/multi-touch-protocol.rst). One contact is the pen; a palm beside it is not looked at.
import { EV_ABS, EV_KEY, type InputEvent } from './input-event.js'

/** linux/input-event-codes.h */
export const ABS_X = 0x00
export const ABS_Y = 0x01
export const ABS_PRESSURE = 0x18
export const ABS_MT_SLOT = 0x2f
export const ABS_MT_POSITION_X = 0x35
export const ABS_MT_POSITION_Y = 0x36
export const ABS_MT_TRACKING_ID = 0x39
export const ABS_MT_PRESSURE = 0x3a
export const BTN_TOUCH = 0x14a

/** The kernel tells changes only: what a contact leaves behind is where the next one of its slot begins. */
interface Slot {
  readonly id: number
  readonly x: number | undefined
  readonly y: number | undefined
  readonly pressure: number | undefined
}

export interface TouchState {
  readonly slots: ReadonlyMap<number, Slot>
  readonly slot: number
  /** A panel that tells contacts apart also sends what a mouse would; that is left alone. */
  readonly multi: boolean
  /** The contact that is the pen. */
  readonly pen: { readonly slot: number; readonly id: number } | undefined
}

/** The pen after a report, in the panel's own units; `id` differs from one stroke to the next. */
export interface Contact {
  readonly id: number
  readonly x: number
  readonly y: number
  readonly pressure: number | undefined
}

const NOWHERE: Slot = { id: -1, x: undefined, y: undefined, pressure: undefined }
/** The one contact of a panel that tells none apart; its strokes are counted. */
const SINGLE = -1
const MAX_SLOTS = 64

/** Nothing touches. `at` is where the kernel says that a single-touch panel's last contact was. */
export function noTouch(at: { readonly x?: number; readonly y?: number } = {}): TouchState {
  return {
    slots: new Map([[SINGLE, { ...NOWHERE, x: at.x, y: at.y }]]),
    slot: 0,
    multi: false,
    pen: undefined,
  }
}

/** Every contact counts as ended, as after events that were lost; places are kept. */
export function liftAll(state: TouchState): TouchState {
  const slots = new Map([...state.slots].map(([slot, at]) => [slot, { ...at, id: -1 }]))
  return { ...state, slots, pen: undefined }
}

/** One report. */
export function nextTouch(
  state: TouchState,
  report: readonly InputEvent[],
): { readonly state: TouchState; readonly contact: Contact | undefined } {
  const slots = new Map(state.slots)
  let { slot, multi } = state
  const change = (key: number, part: Partial<Slot>) => {
    if (slots.size < MAX_SLOTS || slots.has(key)) slots.set(key, { ...(slots.get(key) ?? NOWHERE), ...part })
  }
  for (const { type, code, value } of report) {
    if (type === EV_KEY && code === BTN_TOUCH) {
      const before = slots.get(SINGLE) ?? NOWHERE
      change(SINGLE, { id: value === 0 ? -1 : before.id < 0 ? strokeAfter(state) : before.id })
    }
    if (type !== EV_ABS) continue
    if (code >= ABS_MT_SLOT) multi ||= code === ABS_MT_SLOT || code === ABS_MT_TRACKING_ID
    if (code === ABS_MT_SLOT) slot = value
    else if (code === ABS_MT_TRACKING_ID) change(slot, { id: value })
    else if (code === ABS_MT_POSITION_X) change(slot, { x: value })
    else if (code === ABS_MT_POSITION_Y) change(slot, { y: value })
    else if (code === ABS_MT_PRESSURE) change(slot, { pressure: value })
    else if (code === ABS_X) change(SINGLE, { x: value })
    else if (code === ABS_Y) change(SINGLE, { y: value })
    else if (code === ABS_PRESSURE) change(SINGLE, { pressure: value })
  }
  const pen = choosePen(slots, multi, state.pen)
  const next = { slots, slot, multi, pen }
  const at = pen === undefined ? undefined : slots.get(pen.slot)
  if (at === undefined || at.x === undefined || at.y === undefined) return { state: next, contact: undefined }
  return { state: next, contact: { id: at.id, x: at.x, y: at.y, pressure: at.pressure } }
}

/** Strokes of a single-touch panel have ids by turns. */
function strokeAfter(state: TouchState): number {
  return state.pen === undefined || state.pen.id === 0 ? 1 : 0
}

/** Whoever was the pen stays it while it touches; then the first other contact is. */
function choosePen(
  slots: ReadonlyMap<number, Slot>,
  multi: boolean,
  pen: TouchState['pen'],
): TouchState['pen'] {
  const down = [...slots].filter(([slot, { id }]) => id >= 0 && (slot === SINGLE) !== multi)
  const same = down.find(([slot, { id }]) => slot === pen?.slot && id === pen.id)
  const [first] = same === undefined ? down : [same]
  return first === undefined ? undefined : { slot: first[0], id: first[1].id }
}
