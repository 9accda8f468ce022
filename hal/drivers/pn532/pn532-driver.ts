// PN532 on a serial line as a driver of a board profile. Profile driver `pn532-uart`.
import { Type } from 'typebox'
import type { Driver, DriverContext } from '../../board.js'
import type { ContactlessReader } from '../../contactless-reader.js'
import { SerialPortOptions, type SerialPortSettings, serialPortOpener } from '../serial-port.js'
import { openPn532 } from './pn532-reader.js'

export const pn532UartDriver: Driver<ContactlessReader> & {
  open(options: SerialPortSettings, context: DriverContext): Promise<ContactlessReader>
} = {
  name: 'pn532-uart',
  deviceClass: 'contactless-reader',
  optionsSchema: Type.Object(SerialPortOptions, { additionalProperties: false }),
  open: (options, context) => openPn532('pn532-uart', serialPortOpener(options), context),
}
