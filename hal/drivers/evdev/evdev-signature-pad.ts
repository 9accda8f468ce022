// Signature on a touch panel of the Linux input layer: strokes in the pixels of the display that lies under it.
import { type Static, Type } from 'typebox'
import { isPosternError } from '../../base/errors.js'
import { createGate } from '../../base/gate.js'
import type { Driver } from '../../board.js'
import { createDeviceBase, deviceError } from '../../device-base.js'
import { ROTATIONS, seenPoint } from '../../rotation.js'
import type { SignatureOutcome, SignaturePad } from '../../signature-pad.js'
import { type EvdevDevice, keepEvdevOpen } from './evdev-reader.js'
import { EvdevMatchOptions, type EvdevRoots } from './find-device.js'
import { createSignatureCapture, type SignatureCapture } from './signature-capture.js'
import {
  ABS_MT_POSITION_X,
  ABS_MT_POSITION_Y,
  ABS_MT_PRESSURE,
  ABS_PRESSURE,
  ABS_X,
  ABS_Y,
  type Contact,
  liftAll,
  nextTouch,
  noTouch,
} from './touch-contact.js'

const side = (what: object) => Type.Integer({ minimum: 0, maximum: 4096, ...what })
const Area = Type.Object(
  { x: side({}), y: side({}), width: side({ minimum: 1 }), height: side({ minimum: 1 }) },
  { additionalProperties: false },
)
const Range = Type.Object(
  { minimum: Type.Integer(), maximum: Type.Integer() },
  { additionalProperties: false },
)

const SignatureOptions = Type.Object(
  {
    device: EvdevMatchOptions,
    /** The display's pixels, as one sees it. */
    width: side({ minimum: 64 }),
    height: side({ minimum: 32 }),
    /** As the display's: degrees by which the picture is turned clockwise on the panel. */
    rotation: Type.Enum(ROTATIONS, { default: 0 }),
    /** True where the panel's x runs from right to left, before it is turned. */
    mirrored: Type.Boolean({ default: false }),
    /** Raw values at the edges, where the panel's own word on them is wrong or missing. */
    axes: Type.Optional(
      Type.Object(
        { x: Type.Optional(Range), y: Type.Optional(Range), pressure: Type.Optional(Range) },
        { additionalProperties: false },
      ),
    ),
    /** Where one signs; the whole display without. */
    area: Type.Optional(Area),
    /** A touch there begins anew. */
    clear: Type.Optional(Area),
    /** A touch there ends the signature at once. */
    done: Type.Optional(Area),
    /** So long after the last stroke it is complete. */
    idleMs: Type.Integer({ minimum: 200, maximum: 60_000, default: 2000 }),
  },
  { additionalProperties: false },
)
type SignatureOptions = Static<typeof SignatureOptions>
type Range = Static<typeof Range>
type Point = { readonly x: number; readonly y: number }

/** The clock of the kernel's stamps (CLOCK_MONOTONIC), in ms. */
const kernelNowMs = (): number => Number(process.hrtime.bigint() / 1000n) / 1000

const share = (value: number, { minimum, maximum }: Range) =>
  Math.min(1, Math.max(0, (value - minimum) / (maximum - minimum)))

/** What a panel's raw values mean. */
interface Axes {
  readonly x: Range
  readonly y: Range
  readonly pressure: Range | undefined
}

/** @throws DeviceError `DEVICE_UNSUPPORTED` where neither the panel nor the profile says the range */
function axesOf(device: EvdevDevice, given: SignatureOptions['axes']): Axes {
  const range = (chosen: Range | undefined, ...codes: number[]): Range | undefined =>
    chosen ??
    codes.map((code) => device.axis(code)).find((axis) => axis !== undefined && axis.maximum > axis.minimum)
  const x = range(given?.x, ABS_MT_POSITION_X, ABS_X)
  const y = range(given?.y, ABS_MT_POSITION_Y, ABS_Y)
  if (x === undefined || y === undefined) {
    throw deviceError(
      'DEVICE_UNSUPPORTED',
      `${device.info.path} does not say its range: give it in options/axes`,
    )
  }
  return { x, y, pressure: range(given?.pressure, ABS_MT_PRESSURE, ABS_PRESSURE) }
}

/** The driver `evdev`; `roots` are other folders in tests. */
export function evdevSignatureDriver(roots?: EvdevRoots): Driver<SignaturePad> {
  return {
    name: 'evdev',
    deviceClass: 'signature-pad',
    optionsSchema: SignatureOptions,
    async open(options: SignatureOptions, context) {
      const { width, height } = options
      const area = options.area ?? { x: 0, y: 0, width, height }
      const base = createDeviceBase<'signature-pad', 'idle' | 'capturing'>(
        context,
        'signature-pad',
        'evdev',
        'idle',
      )
      const gate = createGate()
      let touch = noTouch()
      let axes: Axes | undefined
      /** Present while a capture waits. */
      let capture: SignatureCapture | undefined

      const seen = (contact: Contact, { x, y }: Axes): Point => {
        const raw = share(contact.x, x)
        const at = seenPoint(options.mirrored ? 1 - raw : raw, share(contact.y, y), options.rotation)
        return { x: at.x * (width - 1), y: at.y * (height - 1) }
      }
      const follow = (contact: Contact | undefined, atMs: number) => {
        if (capture === undefined || axes === undefined) return
        if (contact === undefined) capture.lift(context.clock.monotonicMs())
        else {
          const { pressure: range } = axes
          const { pressure } = contact
          const press = pressure === undefined || range === undefined ? undefined : share(pressure, range)
          capture.touch(contact.id, seen(contact, axes), press, atMs)
        }
        gate.notify()
      }

      const settled = new Promise<void>((settle) => {
        const ended = keepEvdevOpen(
          { match: options.device, ...(roots === undefined ? {} : { roots }) },
          context.clock,
          base.closing,
          {
            up(device) {
              axes = axesOf(device, options.axes)
              const x = device.axis(ABS_X)?.value
              const y = device.axis(ABS_Y)?.value
              touch = noTouch({ ...(x === undefined ? {} : { x }), ...(y === undefined ? {} : { y }) })
              base.update({ presence: 'ready' })
              settle()
            },
            report(events) {
              const next = nextTouch(touch, events)
              touch = next.state
              follow(next.contact, events[0]!.atMs)
            },
            dropped() {
              touch = liftAll(touch)
              follow(undefined, 0)
            },
            down(reason) {
              base.update({ presence: 'lost', detail: reason })
              settle()
            },
          },
        )
        base.onClose(() => ended)
      })
      await settled

      /** Resolves when the person is done: by the fields, or by a rest after the last stroke. */
      async function completed(current: SignatureCapture, signal: AbortSignal): Promise<SignatureOutcome> {
        for (;;) {
          const outcome = await gate.until(() => {
            if (current.cleared) return 'cleared'
            if (current.finished) return 'signed'
            return current.restingSinceMs === undefined ? undefined : 'resting'
          }, signal)
          if (outcome === 'cleared') return { kind: 'cleared' }
          if (outcome === 'signed') break
          const restMs = current.restingSinceMs! + options.idleMs - context.clock.monotonicMs()
          if (restMs <= 0) break
          await context.clock.sleep(Math.min(restMs, 50), signal).catch(() => undefined)
        }
        return { kind: 'signed', strokes: current.strokes, width: area.width, height: area.height }
      }

      return {
        ...base.device,
        capture: (signal) =>
          base.operation({ signal, lane: 'capture' }, async (inner) => {
            const current = createSignatureCapture({ ...options, area }, kernelNowMs(), touch.pen?.id)
            capture = current
            base.update({ state: 'capturing' })
            try {
              const outcome = await completed(current, inner)
              if (outcome.kind === 'signed') base.count('GoodSignatureReadCount')
              return outcome
            } catch (error) {
              if (isPosternError(error, 'DEVICE_LOST')) base.count('FailedSignatureReadCount')
              throw error
            } finally {
              capture = undefined
              base.update({ state: 'idle' })
            }
          }),
      }
    },
  }
}
