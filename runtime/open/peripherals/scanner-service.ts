// Scans as apps get them: text, from whichever scanner the board has.
import { isPosternError } from '../../../hal/base/errors.js'
import type { Scan, Scanner } from '../../../hal/scanner.js'
import { RpcError } from '../../api/json-rpc.js'

export interface ScannedText {
  readonly text: string
  readonly aim?: string
}

export interface ScannerService {
  /** Lights the scanner; resolves when it does. @throws RpcError `NO_SCANNER`, `SCANNER_UNAVAILABLE` */
  trigger(signal: AbortSignal): Promise<void>
  on(listener: (scan: ScannedText) => void): () => void
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** UTF-8 where the bytes are that, else Latin-1 (ISO 8859-1), the default of linear codes. At most 4,096 characters. */
export function scannedText({ raw, aim }: Pick<Scan, 'raw' | 'aim'>): ScannedText {
  let text: string
  try {
    text = utf8.decode(raw)
  } catch {
    text = Buffer.from(raw).toString('latin1')
  }
  return { text: text.slice(0, 4096), ...(aim === undefined ? {} : { aim: aim.slice(0, 3) }) }
}

/** The service over a scanner; without one, `trigger` says so. */
export function createScannerService(scanner: Scanner | undefined): ScannerService {
  return {
    trigger: async (signal) => {
      if (scanner === undefined) throw new RpcError('NO_SCANNER', 'this terminal has no scanner')
      try {
        await scanner.trigger({ signal })
      } catch (error) {
        if (isPosternError(error, 'DEVICE_BUSY')) return // it is lit already
        if (isPosternError(error)) throw new RpcError('SCANNER_UNAVAILABLE', error.message)
        throw error
      }
    },
    on: (listener) =>
      scanner?.on((event) => {
        if (event.type === 'scan') listener(scannedText(event))
      }) ?? (() => undefined),
  }
}
