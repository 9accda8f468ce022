// Colour panels behind the kernel's framebuffer (/dev/fbN, DRM's emulation included): rows that differ, rotation, backlight.
import { type FileHandle, open as openFile, stat } from 'node:fs/promises'
import { type Static, Type } from 'typebox'
import type { Driver } from '../../board.js'
import { coalesce } from '../../coalesce.js'
import { createDeviceBase, deviceError } from '../../device-base.js'
import type { Display } from '../../display.js'
import { ROTATIONS, turnedPixels, turnedSize } from '../../rotation.js'
import { keepDevice } from '../kept-device.js'
import { type FramebufferInfo, findFramebuffer, type KernelRoots, SYSTEM_ROOTS } from './framebuffer-info.js'
import { setPanelLight } from './panel-light.js'
import { changedRows, rowBytes } from './pixel-rows.js'

const POLL_MS = 750

const FramebufferOptions = Type.Object(
  {
    /** N of /dev/fbN; where a name is given, that one counts. */
    framebuffer: Type.Optional(Type.Integer({ minimum: 0, maximum: 31 })),
    /** The driver's name in /sys/class/graphics/fbN/name, for boards with several. */
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    /** The panel's own pixels, before it is turned. */
    width: Type.Integer({ minimum: 64, maximum: 4096 }),
    height: Type.Integer({ minimum: 32, maximum: 4096 }),
    /** Degrees by which the picture is turned clockwise on the panel. */
    rotation: Type.Enum(ROTATIONS, { default: 0 }),
    /** True where red and blue have changed places. */
    swapped: Type.Boolean({ default: false }),
    /** Name under /sys/class/backlight; the first one without. */
    backlight: Type.Optional(Type.String({ minLength: 1, maxLength: 64, pattern: '^[^/]+$' })),
    brightness: Type.Integer({ minimum: 1, maximum: 100, default: 100 }),
    dimBrightness: Type.Integer({ minimum: 1, maximum: 100, default: 20 }),
    dpi: Type.Integer({ minimum: 50, maximum: 600, default: 160 }),
  },
  { additionalProperties: false },
)
type FramebufferOptions = Static<typeof FramebufferOptions>

/** An open panel; what we know of its content is gone with it. */
interface Panel {
  readonly info: FramebufferInfo
  readonly file: FileHandle
  /** Device file's identity: another one of the same name is another panel. */
  readonly inode: number
}

/** The driver; `roots` are other folders than /dev and /sys in tests. */
export function framebufferDriver(roots: KernelRoots = SYSTEM_ROOTS): Driver<Display> {
  return {
    name: 'framebuffer',
    deviceClass: 'display',
    optionsSchema: FramebufferOptions,
    async open(options: FramebufferOptions, context) {
      const { width, height } = turnedSize(options, options.rotation)
      const base = createDeviceBase<'display', 'on' | 'dim' | 'off'>(context, 'display', 'framebuffer', 'on')
      let panel: Panel | undefined
      /** What the panel shows; undefined where we don't know. */
      let shown: Uint16Array | undefined
      let wanted: Uint16Array = new Uint16Array(options.width * options.height)

      async function openPanel(): Promise<Panel> {
        const { framebuffer, name } = options
        const info = findFramebuffer(
          { number: name === undefined ? (framebuffer ?? 0) : framebuffer, name },
          roots,
        )
        if (info.width !== options.width || info.height !== options.height) {
          const profile = `${options.width}x${options.height}`
          throw deviceError(
            'DEVICE_UNSUPPORTED',
            `fb${info.number} is ${info.width}x${info.height}; the profile says ${profile}`,
          )
        }
        const file = await openFile(info.path, 'r+')
        return { info, file, inode: (await file.stat()).ino }
      }
      async function send(): Promise<void> {
        const { info, file } = panel ?? lostPanel()
        const picture = wanted
        const form = { ...info, swapped: options.swapped }
        const runs = changedRows(shown, picture, options.width)
        shown = undefined
        for (const run of runs) {
          const bytes = rowBytes(picture, options.width, run, form)
          const { bytesWritten } = await file.write(
            bytes,
            0,
            bytes.length,
            info.offset + run.row * info.stride,
          )
          if (bytesWritten !== bytes.length) {
            throw deviceError('DEVICE_LOST', `fb${info.number} took ${bytesWritten} of ${bytes.length} bytes`)
          }
          base.count('PixelCount', run.rows * options.width)
        }
        shown = picture
        base.count('FrameCount')
      }
      const flush = coalesce(async () => {
        if (wanted === shown) return
        try {
          await send()
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error)
          keeper.lost(reason)
          throw deviceError('DEVICE_LOST', reason, {}, error)
        }
      })
      const light = (number: number) =>
        setPanelLight(
          base.device.status().state,
          number,
          {
            backlight: options.backlight,
            brightness: options.brightness,
            dimBrightness: options.dimBrightness,
          },
          roots,
        )
      const letGo = async () => {
        const old = panel
        panel = undefined
        shown = undefined
        await old?.file.close().catch(() => undefined)
      }

      const keeper = keepDevice(context.clock, base.closing, {
        everyMs: POLL_MS,
        async attach() {
          await letGo()
          panel = await openPanel()
          await send()
          await light(panel.info.number).catch((error) =>
            context.log.warn('display.no-light', { device: context.id, error: String(error) }),
          )
        },
        async poll() {
          const { info, inode } = panel ?? lostPanel()
          const now = await stat(info.path)
          const { stride, offset } = findFramebuffer({ number: info.number }, roots)
          if (now.ino !== inode || stride !== info.stride || offset !== info.offset)
            throw deviceError('DEVICE_LOST', `fb${info.number} is another one now`)
        },
        up() {
          base.count('OnlineTransitionCount')
          base.update({ presence: 'ready' })
          flush().catch(() => undefined)
        },
        down: (reason) => base.update({ presence: 'lost', detail: reason }),
      })
      base.onClose(letGo)
      await keeper.settled

      return {
        ...base.device,
        capabilities: { width, height, depth: 16, dpi: options.dpi },
        async draw(frame) {
          if (frame.width !== width || frame.height !== height || frame.pixels.length !== width * height) {
            throw deviceError('DEVICE_UNSUPPORTED', `a frame has to be ${width} by ${height} pixels`)
          }
          wanted = turnedPixels(frame, options.rotation)
          await base.operation({}, flush)
        },
        async setBacklight(level) {
          base.update({ state: level })
          await base.operation({}, () => light((panel ?? lostPanel()).info.number))
        },
      }
    },
  }
}

function lostPanel(): never {
  throw deviceError('DEVICE_LOST', 'the panel is not there')
}
