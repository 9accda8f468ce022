// Signature pad: strokes on an area of known size.
import type { Device } from './device.js'

export interface StrokePoint {
  readonly x: number
  readonly y: number
  /** Milliseconds since the pen first touched. */
  readonly t: number
  /** 0 to 1, where the pad measures it. */
  readonly pressure?: number
}

export type SignatureOutcome =
  | {
      readonly kind: 'signed'
      readonly strokes: readonly (readonly StrokePoint[])[]
      readonly width: number
      readonly height: number
    }
  | { readonly kind: 'cleared' }

/** Bounds of one signature. */
export const MAX_STROKES = 200
export const MAX_STROKE_POINTS = 2_000

/**
 * At most 200 strokes of 2,000 points; what is beyond is dropped. Points lie within `width` and `height`. `cleared`
 * says that the person wants to start again.
 */
export interface SignaturePad extends Device<'idle' | 'capturing'> {
  readonly deviceClass: 'signature-pad'
  capture(signal?: AbortSignal): Promise<SignatureOutcome>
}
