// The ESC/POS printer as a driver of a board profile, over whatever port the boot file gives it.
import { type Static, type TProperties, Type } from 'typebox'
import type { Driver, DriverContext } from '../../board.js'
import type { OpenBytePort } from '../../byte-port.js'
import type { Printer } from '../../printer.js'
import { SerialPortOptions, type SerialPortSettings, serialPortOpener } from '../serial-port.js'
import { openEscposPrinter } from './escpos-printer.js'
import { PRINTER_PROFILES, type PrinterProfile, type PrinterProfileName } from './profiles.js'

const profileNames = Object.keys(PRINTER_PROFILES) as PrinterProfileName[]

/** Options that every ESC/POS printer has, whatever its port. */
const PrinterOptions = {
  profile: Type.Union(
    profileNames.map((name) => Type.Literal(name)),
    { default: '58mm' },
  ),
  /** Where the printer's buffer is smaller or larger than the kind's. */
  windowBytes: Type.Optional(Type.Integer({ minimum: 256, maximum: 65_536 })),
  /** Where the kind's code page numbers are not this printer's: the encoder's name to ESC t's number. */
  codePages: Type.Optional(
    Type.Record(Type.String({ pattern: '^[a-z0-9/-]+$' }), Type.Integer({ minimum: 0, maximum: 255 })),
  ),
  pollMs: Type.Optional(Type.Integer({ minimum: 100, maximum: 10_000 })),
}
type PrinterSettings = {
  readonly [Key in keyof typeof PrinterOptions]?: Static<(typeof PrinterOptions)[Key]>
} & { readonly baudRate?: number }

/**
 * A driver of ESC/POS printers named `name`. `portOptions` are the profile's keys for the port, `opener` makes the
 * port from them; a `baudRate` among the options paces what is sent.
 */
export function escposDriver<Port>(
  name: string,
  portOptions: TProperties,
  opener: (port: Port, context: DriverContext) => OpenBytePort,
): Driver<Printer> & { open(options: PrinterSettings & Port, context: DriverContext): Promise<Printer> } {
  return {
    name,
    deviceClass: 'printer',
    optionsSchema: Type.Object({ ...portOptions, ...PrinterOptions }, { additionalProperties: false }),
    async open(options, context) {
      const kind: PrinterProfile = PRINTER_PROFILES[(options.profile ?? '58mm') as PrinterProfileName]
      const profile: PrinterProfile = {
        capabilities: {
          ...kind.capabilities,
          ...(options.codePages === undefined ? {} : { codePages: options.codePages }),
        },
        windowBytes: options.windowBytes ?? kind.windowBytes,
      }
      const { baudRate, pollMs } = options
      return openEscposPrinter(
        name,
        opener(options, context),
        {
          profile,
          ...(baudRate === undefined ? {} : { baudRate }),
          ...(pollMs === undefined ? {} : { pollMs }),
        },
        context,
      )
    },
  }
}

/** ESC/POS over a serial line. Profile driver `escpos-serial`. */
export const escposSerialDriver = escposDriver<SerialPortSettings>(
  'escpos-serial',
  SerialPortOptions,
  serialPortOpener,
)
