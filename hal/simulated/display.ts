// Driver of the virtual handheld's display: sends what differs, restores the picture after a loss.
import { deflateRawSync } from 'node:zlib'
import { type Static, Type } from 'typebox'
import type { Driver } from '../board.js'
import { coalesce } from '../coalesce.js'
import { createDeviceBase, deviceError } from '../device-base.js'
import type { Display, Frame, Rect } from '../display.js'
import { dirtyRect, toMonochrome } from '../frame.js'
import type { BusPort } from './bus.js'
import { type BusConnector, busOptionFields, joinPeripheral, socketBus } from './bus-device.js'

const MAX_ALT_LINES = 80
const MAX_ALT_LENGTH = 400

const DisplayOptions = Type.Object(
  {
    ...busOptionFields,
    width: Type.Integer({ minimum: 64, maximum: 1024 }),
    height: Type.Integer({ minimum: 32, maximum: 1024 }),
    depth: Type.Union([Type.Literal(1), Type.Literal(16)]),
    dpi: Type.Integer({ minimum: 50, maximum: 600 }),
  },
  { additionalProperties: false },
)
type DisplayOptions = Static<typeof DisplayOptions>

interface Picture {
  readonly frame: Frame
  readonly alt: readonly string[]
}

export function displayDriver(connect: BusConnector = socketBus): Driver<Display> {
  return {
    name: 'simulated',
    deviceClass: 'display',
    optionsSchema: DisplayOptions,
    async open(options: DisplayOptions, context) {
      const { width, height, depth, dpi } = options
      const base = createDeviceBase<'display', 'on' | 'dim' | 'off'>(context, 'display', 'simulated', 'on')
      /** What the panel shows, under which number; undefined where we don't know. */
      let shown: { picture: Picture; revision: number } | undefined
      let wanted: Picture | undefined

      const port = await joinPeripheral(base, connect(options, context), 'display', {
        attached(panel, wire) {
          shown = undefined
          if (panel.width !== width || panel.height !== height || panel.depth !== depth) {
            return `the panel is ${panel.width}x${panel.height}, ${panel.depth} bit; the profile says ${width}x${height}, ${depth} bit`
          }
          base.count('OnlineTransitionCount')
          // After presence is `ready`: the panel has lost picture and backlight, the driver has not.
          setImmediate(() => restore(wire))
          return undefined
        },
        detached() {
          shown = undefined
        },
      })

      async function send({ frame, alt }: Picture): Promise<void> {
        const rect = shown === undefined ? whole : dirtyRect(shown.picture.frame, frame)
        const part = rect ?? { x: 0, y: 0, width: 0, height: 0 }
        const answer = await port.call('draw', {
          base: shown?.revision ?? -1,
          ...part,
          pixels: pack(frame, part),
          alt: alt.slice(0, MAX_ALT_LINES).map((line) => line.slice(0, MAX_ALT_LENGTH)),
        })
        shown = answer.drawn ? { picture: { frame, alt }, revision: answer.revision } : undefined
        if (!answer.drawn) return send({ frame, alt })
        base.count('FrameCount')
        base.count('PixelCount', part.width * part.height)
      }
      async function sendNewest(): Promise<void> {
        const picture = wanted
        if (picture === undefined || picture === shown?.picture) return
        await send(picture)
        if (shown !== undefined) shown = { ...shown, picture }
      }
      const flush = coalesce(sendNewest)
      function restore(wire: BusPort<'display'>): void {
        const level = base.device.status().state
        wire
          .call('backlight', { level })
          .then(() => (wanted === undefined ? undefined : flush()))
          .catch((error) => context.log.warn('display.restore-failed', { error: String(error) }))
      }
      const whole: Rect = { x: 0, y: 0, width, height }

      return {
        ...base.device,
        capabilities: { width, height, depth, dpi },
        async draw(frame, alt) {
          if (frame.width !== width || frame.height !== height || frame.pixels.length !== width * height) {
            throw deviceError('DEVICE_UNSUPPORTED', `a frame has to be ${width} by ${height} pixels`)
          }
          const own = depth === 1 ? toMonochrome(frame) : { ...frame, pixels: frame.pixels.slice() }
          if (base.device.status().presence !== 'closed') wanted = { frame: own, alt: [...alt] }
          await base.operation({}, flush)
        },
        async setBacklight(level) {
          base.update({ state: level })
          await base.operation({}, () => port.call('backlight', { level }))
        },
      }
    },
  }
}

/** Pixels of a rectangle, row by row, little-endian, deflated, base64. */
function pack(frame: Frame, rect: Rect): string {
  if (rect.width * rect.height === 0) return ''
  const flat = Buffer.alloc(rect.width * rect.height * 2)
  let at = 0
  for (let y = rect.y; y < rect.y + rect.height; y++) {
    for (let x = rect.x; x < rect.x + rect.width; x++) {
      flat.writeUInt16LE(frame.pixels[y * frame.width + x]!, at)
      at += 2
    }
  }
  return deflateRawSync(flat, { level: 1 }).toString('base64')
}
