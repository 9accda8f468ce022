// QR codes (ISO/IEC 18004) as modules, by the `qr` library: for printers, previews and screens.
import encodeQR, { type ErrorCorrection } from 'qr'

/** The modules row by row, without the quiet zone; undefined where the data is too long for a QR code. */
export function qrModules(data: string, level: ErrorCorrection): boolean[][] | undefined {
  try {
    // The library insists on a border; the quiet zone is whoever draws's.
    return encodeQR(data, 'raw', { ecc: level, border: 1 })
      .slice(1, -1)
      .map((row) => row.slice(1, -1))
  } catch (error) {
    if (error instanceof RangeError || (error as Error).message.includes('Capacity')) return undefined
    throw error
  }
}
