// Display: frames of pixels. Secure world only: whoever owns the pixels owns the prompts.
import type { Device } from './device.js'

/** Row-major pixels, RGB565 as in most small panels; a monochrome driver takes luminance above one half as lit. */
export interface Frame {
  readonly width: number
  readonly height: number
  readonly pixels: Uint16Array
}

/** Half-open rectangle in pixels. */
export interface Rect {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface DisplayCapabilities {
  readonly width: number
  readonly height: number
  readonly depth: 1 | 16
  /** Physical dots per inch, for choosing text sizes. */
  readonly dpi: number
}

/**
 * `draw` shows a whole frame of exactly the panel's size and resolves when the panel has it; the driver sends only
 * what differs from the frame before. Draws while one is under way coalesce: the newest wins, the others resolve with
 * it. `alt` is the screen in words, top to bottom, for screen readers and tests; a PIN shows as bullets there too. A
 * frame of another size is refused with `DEVICE_UNSUPPORTED`; the driver keeps no reference to the caller's pixels.
 * After `DEVICE_LOST` and return, the driver restores the last frame and the backlight by itself. A draw while lost
 * rejects with `DEVICE_LOST` and is still the frame that is restored. The status' state is the backlight's level.
 */
export interface Display extends Device<'on' | 'dim' | 'off'> {
  readonly deviceClass: 'display'
  readonly capabilities: DisplayCapabilities
  draw(frame: Frame, alt: readonly string[]): Promise<void>
  setBacklight(level: 'on' | 'dim' | 'off'): Promise<void>
}
