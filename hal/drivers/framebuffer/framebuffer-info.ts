// What the kernel says of a framebuffer (/sys/class/graphics/fbN, Documentation/fb/api.rst), DRM's emulation included.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deviceError } from '../../device-base.js'

/** Where devices and their attributes lie; another folder in tests. */
export interface KernelRoots {
  readonly dev: string
  readonly sys: string
}
export const SYSTEM_ROOTS: KernelRoots = { dev: '/dev', sys: '/sys' }

export interface FramebufferInfo {
  readonly number: number
  readonly name: string
  /** Pixels that are seen. */
  readonly width: number
  readonly height: number
  readonly bitsPerPixel: 16 | 32
  /** Bytes from a row to the next. */
  readonly stride: number
  /** Bytes before the first pixel that is seen. */
  readonly offset: number
  readonly path: string
}

/** Larger panels than that are none. */
const MAX_SIDE = 4096

function attribute(folder: string, name: string): string {
  return readFileSync(join(folder, name), 'utf8').slice(0, 4096).trim()
}
function optional(folder: string, name: string): string {
  try {
    return attribute(folder, name)
  } catch {
    return ''
  }
}

/**
 * Finds a framebuffer by number or by the name of its driver, such as `ili9341drmfb`.
 * @throws DeviceError `DEVICE_LOST` where it isn't there, `DEVICE_UNSUPPORTED` where it has another form than we draw
 */
export function findFramebuffer(
  wanted: { readonly number?: number | undefined; readonly name?: string | undefined },
  roots: KernelRoots,
): FramebufferInfo {
  const graphics = join(roots.sys, 'class', 'graphics')
  const there = framebuffers(graphics)
  const number = there.find(
    (each) =>
      (wanted.number === undefined || each === wanted.number) &&
      (wanted.name === undefined || optional(join(graphics, `fb${each}`), 'name') === wanted.name),
  )
  if (number === undefined) {
    const names = there.map((each) => `fb${each} ${optional(join(graphics, `fb${each}`), 'name')}`).join(', ')
    const what = wanted.name === undefined ? `fb${wanted.number ?? 0}` : `named ${wanted.name}`
    throw deviceError('DEVICE_LOST', `no framebuffer ${what}; there are ${names || 'none'}`)
  }
  return readInfo(graphics, number, roots)
}

function framebuffers(graphics: string): number[] {
  try {
    return readdirSync(graphics)
      .flatMap((entry) => (/^fb\d{1,2}$/.test(entry) ? [Number(entry.slice(2))] : []))
      .sort((one, other) => one - other)
  } catch {
    return []
  }
}

function readInfo(graphics: string, number: number, roots: KernelRoots): FramebufferInfo {
  const folder = join(graphics, `fb${number}`)
  const numbers = (name: string) => optional(folder, name).split(',').map(Number)
  const bits = Number(optional(folder, 'bits_per_pixel'))
  if (bits !== 16 && bits !== 32) {
    throw deviceError('DEVICE_UNSUPPORTED', `fb${number} has ${bits} bits a pixel; it has to have 16 or 32`)
  }
  const [virtualWidth = 0, virtualHeight = 0] = numbers('virtual_size')
  // `U:240x320p-60`: what is seen, where the memory holds more (double buffers).
  const mode = /(\d{1,4})x(\d{1,4})/.exec(optional(folder, 'mode') || optional(folder, 'modes'))
  const width = mode ? Number(mode[1]) : virtualWidth
  const height = mode ? Number(mode[2]) : virtualHeight
  const bytes = bits / 8
  const stride = Number(optional(folder, 'stride')) || virtualWidth * bytes
  const [panX = 0, panY = 0] = numbers('pan')
  const fits = width > 0 && height > 0 && width <= MAX_SIDE && height <= MAX_SIDE && stride >= width * bytes
  if (!fits) {
    throw deviceError('DEVICE_UNSUPPORTED', `fb${number} says ${width}x${height} with ${stride} bytes a row`)
  }
  return {
    number,
    name: optional(folder, 'name'),
    width,
    height,
    bitsPerPixel: bits,
    stride,
    offset: (panY || 0) * stride + (panX || 0) * bytes,
    path: join(roots.dev, `fb${number}`),
  }
}
