// PNG of one-bit paper and of displays (ISO/IEC 15948): signature, IHDR, one IDAT, IEND; zlib does the compression.
import { deflateSync } from 'node:zlib'
import { concat } from './bytes.js'

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1
  return c >>> 0
})

/** CRC-32 as in annex D of the PNG specification. */
function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff
  for (const byte of bytes) c = CRC_TABLE[(c ^ byte) & 0xff]! ^ (c >>> 8)
  return (c ^ 0xffffffff) >>> 0
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(12 + data.length)
  const view = new DataView(out.buffer)
  view.setUint32(0, data.length)
  out.set(Buffer.from(type, 'latin1'), 4)
  out.set(data, 8)
  view.setUint32(8 + data.length, crc32(out.subarray(4, 8 + data.length)))
  return out
}

/**
 * A black and white PNG of packed rows (eight dots a byte, leftmost highest, 1 = black), all of one width in dots.
 * `margin` adds white dots on every side.
 */
export function pngOfRows(rows: readonly Uint8Array[], width: number, margin = 0): Uint8Array {
  const outWidth = width + margin * 2
  const outHeight = Math.max(1, rows.length + margin * 2)
  const stride = 1 + Math.ceil(outWidth / 8)
  const raw = new Uint8Array(stride * outHeight)
  for (let y = 0; y < outHeight; y++) {
    const row = rows[y - margin]
    const at = y * stride + 1
    // Grey of one bit: 0 is black, so paper's dots are inverted.
    raw.fill(0xff, at, at + stride - 1)
    if (row === undefined) continue
    for (let x = 0; x < width; x++) {
      if (row[x >> 3]! & (0x80 >> (x & 7))) {
        const dot = x + margin
        raw[at + (dot >> 3)]! &= ~(0x80 >> (dot & 7))
      }
    }
  }
  const header = new Uint8Array(13)
  const view = new DataView(header.buffer)
  view.setUint32(0, outWidth)
  view.setUint32(4, outHeight)
  header[8] = 1 // bit depth; colour type 0 (grey), deflate, no filter method but 0, not interlaced
  return concat(
    SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', new Uint8Array(deflateSync(raw))),
    chunk('IEND', new Uint8Array(0)),
  )
}

/** A true-colour PNG of row-major RGB565 pixels, such as a display's frame. */
export function pngOfRgb565(frame: {
  readonly width: number
  readonly height: number
  readonly pixels: Uint16Array
}): Uint8Array {
  const stride = 1 + frame.width * 3
  const raw = new Uint8Array(stride * frame.height)
  for (let y = 0; y < frame.height; y++) {
    for (let x = 0; x < frame.width; x++) {
      const pixel = frame.pixels[y * frame.width + x]!
      const at = y * stride + 1 + x * 3
      const [red, green, blue] = [pixel >> 11, (pixel >> 5) & 63, pixel & 31]
      raw[at] = (red << 3) | (red >> 2)
      raw[at + 1] = (green << 2) | (green >> 4)
      raw[at + 2] = (blue << 3) | (blue >> 2)
    }
  }
  const header = new Uint8Array(13)
  const view = new DataView(header.buffer)
  view.setUint32(0, frame.width)
  view.setUint32(4, frame.height)
  header[8] = 8 // bits a sample; colour type 2 is red, green, blue
  header[9] = 2
  return concat(
    SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', new Uint8Array(deflateSync(raw))),
    chunk('IEND', new Uint8Array()),
  )
}
