// Monochrome OLED displays on I2C (SSD1306, SH1106): sends the bytes that differ, restores the picture after a loss.
import { type Static, Type } from 'typebox'
import type { Driver } from '../../board.js'
import { coalesce } from '../../coalesce.js'
import { createDeviceBase, deviceError } from '../../device-base.js'
import type { Display } from '../../display.js'
import { ROTATIONS, turnedSize } from '../../rotation.js'
import type { I2cBuses } from '../i2c/i2c-bus.js'
import { keepDevice } from '../kept-device.js'
import {
  DATA,
  lightCommands,
  NO_OPERATION,
  type OledController,
  type PanelSettings,
  SH1106,
  SSD1306,
} from './controllers.js'
import { changedRects, packPages, pageBytes } from './page-memory.js'

/** A panel that vanished while nothing was drawn is noticed within this. */
const POLL_MS = 750

const OledOptions = Type.Object(
  {
    /** N of /dev/i2c-N. */
    bus: Type.Integer({ minimum: 0, maximum: 255, default: 1 }),
    /** 60 (3C) or 61 (3D), by a bridge on the module. */
    address: Type.Integer({ minimum: 60, maximum: 61, default: 60 }),
    size: Type.Enum(['128x64', '128x32'], { default: '128x64' }),
    /** Degrees by which the picture is turned clockwise on the module. */
    rotation: Type.Enum(ROTATIONS, { default: 0 }),
    invert: Type.Boolean({ default: false }),
    contrast: Type.Integer({ minimum: 0, maximum: 255, default: 207 }),
    dimContrast: Type.Integer({ minimum: 0, maximum: 255, default: 8 }),
    /** False where the panel's voltage comes from outside. */
    chargePump: Type.Boolean({ default: true }),
    /** Where a module's glass begins at another column of the memory than the controller's usual. */
    columnOffset: Type.Optional(Type.Integer({ minimum: 0, maximum: 4 })),
    /** Longest transfer in bytes; some USB adapters take no more than 60. */
    maxTransfer: Type.Integer({ minimum: 16, maximum: 4096, default: 1056 }),
    dpi: Type.Optional(Type.Integer({ minimum: 50, maximum: 600 })),
  },
  { additionalProperties: false },
)
type OledOptions = Static<typeof OledOptions>

const WIDTH = 128

function oledDriver(controller: OledController, buses: I2cBuses, usualDpi: number): Driver<Display> {
  return {
    name: controller.name,
    deviceClass: 'display',
    optionsSchema: OledOptions,
    async open(options: OledOptions, context) {
      const rows = options.size === '128x64' ? 64 : 32
      const { width, height } = turnedSize({ width: WIDTH, height: rows }, options.rotation)
      const { invert, chargePump, columnOffset = controller.columnOffset } = options
      const settings: PanelSettings = { rows, invert, chargePump, columnOffset }
      const base = createDeviceBase<'display', 'on' | 'dim' | 'off'>(
        context,
        'display',
        controller.name,
        'on',
      )
      const device = await buses.device(options.bus, options.address)

      /** What the panel's memory holds; undefined where we don't know. */
      let shown: Uint8Array | undefined
      let wanted: Uint8Array = new Uint8Array((WIDTH * rows) / 8)
      /** Fires at the loss of the device. */
      let session: AbortSignal = base.closing

      async function send(): Promise<void> {
        const signal = session
        const picture = wanted
        const rects = changedRects(shown, picture, WIDTH, controller.cost)
        const most = Math.min(options.maxTransfer, await device.maxWrite(signal))
        shown = undefined
        let bytes = 0
        for (const rect of rects) {
          const data = pageBytes(picture, WIDTH, rect)
          bytes += data.length
          let head = controller.window(rect, columnOffset)
          for (let at = 0; at < data.length; ) {
            const part = data.subarray(at, at + most - head.length)
            const transfer = new Uint8Array(head.length + part.length)
            transfer.set(head)
            transfer.set(part, head.length)
            await device.write(transfer, signal)
            at += part.length
            head = Uint8Array.of(DATA)
          }
        }
        shown = picture
        base.count('FrameCount')
        base.count('PixelCount', bytes * 8)
      }
      const flush = coalesce(async () => {
        if (wanted !== shown) await reporting(send)
      })
      const light = (signal: AbortSignal) => {
        const level = base.device.status().state
        const dim = level === 'dim'
        const contrast = dim ? options.dimContrast : options.contrast
        return device.write(lightCommands(level === 'off' ? 'off' : { contrast, dim }), signal)
      }
      /** A transfer that failed is a loss, at once. */
      async function reporting(work: () => Promise<void>): Promise<void> {
        try {
          await work()
        } catch (error) {
          keeper.lost(error instanceof Error ? error.message : String(error))
          throw error
        }
      }

      const keeper = keepDevice(context.clock, base.closing, {
        everyMs: POLL_MS,
        async attach(signal) {
          session = signal
          shown = undefined
          await device.write(controller.setUp(settings), signal)
          // The memory holds noise after power-on: the picture first, then the light.
          await send()
          await light(signal)
        },
        poll: (signal) => device.write(NO_OPERATION, signal),
        up() {
          base.count('OnlineTransitionCount')
          base.update({ presence: 'ready' })
          // What was drawn between the last transfer and now.
          flush().catch(() => undefined)
        },
        down: (reason) => base.update({ presence: 'lost', detail: reason }),
      })
      base.onClose(() => device.close())
      await keeper.settled

      return {
        ...base.device,
        capabilities: { width, height, depth: 1, dpi: options.dpi ?? usualDpi },
        async draw(frame) {
          if (frame.width !== width || frame.height !== height || frame.pixels.length !== width * height) {
            throw deviceError('DEVICE_UNSUPPORTED', `a frame has to be ${width} by ${height} pixels`)
          }
          wanted = packPages(frame, options.rotation, WIDTH)
          await base.operation({}, flush)
        },
        async setBacklight(level) {
          base.update({ state: level })
          await base.operation({}, () => reporting(() => light(session)))
        },
      }
    },
  }
}

/** 0.96 inch, 128x64, or 0.91 inch, 128x32. */
export const ssd1306Driver = (buses: I2cBuses) => oledDriver(SSD1306, buses, 150)
/** 1.3 inch, 128x64. */
export const sh1106Driver = (buses: I2cBuses) => oledDriver(SH1106, buses, 110)
