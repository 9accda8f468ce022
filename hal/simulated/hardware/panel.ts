// The display panel: the picture that is on the glass, in pixels and in words.
import { inflateRawSync } from 'node:zlib'
import { deviceError } from '../../device-base.js'
import type { DisplayCapabilities, Frame } from '../../display.js'
import type { Peripheral } from '../bus.js'
import type { CommandParams, PeripheralState } from '../bus-protocol.js'
import type { MachineIo } from './machine.js'

/** The panel as eyes see it. */
export interface Panel {
  readonly capabilities: DisplayCapabilities
  /** A copy of what is on the glass. */
  frame(): Frame
  /** The screen in words, top to bottom. */
  alt(): readonly string[]
  backlight(): 'on' | 'dim' | 'off'
  /** Counts the pictures since power-on. */
  revision(): number
  /** Bytes of pixels that came over the wire, before inflating. */
  bytesReceived(): number
}

/** The panel and its end of the bus. */
export function createPanel(
  io: MachineIo<'display'>,
  capabilities: DisplayCapabilities,
): { readonly panel: Panel; readonly peripheral: Peripheral; powerLoss(): void } {
  const { width, height, depth } = capabilities
  const pixels = new Uint16Array(width * height)
  let alt: readonly string[] = []
  let backlight: 'on' | 'dim' | 'off' = 'on'
  let revision = 0
  let received = 0

  function draw(rect: CommandParams<'display', 'draw'>): { drawn: boolean; revision: number } {
    if (rect.base !== -1 && rect.base !== revision) return { drawn: false, revision }
    if (rect.x + rect.width > width || rect.y + rect.height > height) {
      throw deviceError('DEVICE_PROTOCOL', 'rectangle is not on the panel', { width, height })
    }
    const bytes = rect.width * rect.height * 2
    if (bytes > 0) {
      const packed = Buffer.from(rect.pixels, 'base64')
      const flat = inflateRawSync(packed, { maxOutputLength: bytes })
      if (flat.length !== bytes)
        throw deviceError('DEVICE_PROTOCOL', 'pixels do not fill the rectangle', { bytes })
      received += packed.length
      for (let y = 0; y < rect.height; y++) {
        for (let x = 0; x < rect.width; x++) {
          pixels[(rect.y + y) * width + rect.x + x] = flat.readUInt16LE((y * rect.width + x) * 2)
        }
      }
    }
    alt = rect.alt
    revision++
    io.changed()
    return { drawn: true, revision }
  }

  return {
    powerLoss() {
      pixels.fill(0)
      alt = []
      backlight = 'off'
      revision++
      io.changed()
    },
    panel: {
      capabilities,
      frame: () => ({ width, height, pixels: pixels.slice() }),
      alt: () => alt,
      backlight: () => backlight,
      revision: () => revision,
      bytesReceived: () => received,
    },
    peripheral: {
      state: (): PeripheralState<'display'> => ({ width, height, depth, revision }),
      command(op, params: CommandParams<'display', 'draw'> & CommandParams<'display', 'backlight'>) {
        if (op === 'draw') return draw(params)
        backlight = params.level
        io.changed()
        return {}
      },
    },
  }
}
