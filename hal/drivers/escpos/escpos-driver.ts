// The ESC/POS printer as a driver of a board profile, over whatever port the boot file gives it.
import { type Static, type TProperties, Type } from 'typebox'
import type { Driver, DriverContext } from '../../board.js'
import type { OpenBytePort } from '../../byte-port.js'
import type { Printer } from '../../printer.js'
import {
  DeviceFilePortOptions,
  type DeviceFilePortSettings,
  deviceFilePortOpener,
} from '../device-file-port.js'
import { SerialPortOptions, type SerialPortSettings, serialPortOpener } from '../serial-port.js'
import { openEscposPrinter } from './escpos-printer.js'
import { type Density, PRINTER_PROFILES, type PrinterProfile, type PrinterProfileName } from './profiles.js'

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
  /** How dark; only where the kind has a command for it. */
  density: Type.Optional(Type.Enum(['light', 'normal', 'dark'])),
  pollMs: Type.Optional(Type.Integer({ minimum: 100, maximum: 10_000 })),
}
type PrinterSettings = {
  readonly [Key in Exclude<keyof typeof PrinterOptions, 'density'>]?: Static<(typeof PrinterOptions)[Key]>
} & { readonly density?: Density }

/**
 * A driver of ESC/POS printers named `name`. `portOptions` are the profile's keys for the port, `opener` makes the
 * port from them; `lineOf` adds what the kind of printer says of its line, whose baud rate paces what is sent.
 */
export function escposDriver<Port>(
  name: string,
  portOptions: TProperties,
  opener: (port: Port, context: DriverContext) => OpenBytePort,
  lineOf: (options: Port, profile: PrinterProfile) => Port & { readonly baudRate?: number | undefined },
): Driver<Printer> & { open(options: PrinterSettings & Port, context: DriverContext): Promise<Printer> } {
  return {
    name,
    deviceClass: 'printer',
    optionsSchema: Type.Object({ ...portOptions, ...PrinterOptions }, { additionalProperties: false }),
    async open(options, context) {
      const kind: PrinterProfile = PRINTER_PROFILES[(options.profile ?? '58mm') as PrinterProfileName]
      const setUp = kind.density?.[options.density ?? 'normal']
      const profile: PrinterProfile = {
        ...kind,
        capabilities: {
          ...kind.capabilities,
          ...(options.codePages === undefined ? {} : { codePages: options.codePages }),
          ...(options.density === undefined || setUp === undefined ? {} : { setUp }),
        },
        windowBytes: options.windowBytes ?? kind.windowBytes,
      }
      if (options.density !== undefined && setUp === undefined)
        context.log.warn('printer.no-density', { device: context.id, profile: options.profile ?? '58mm' })
      const line = lineOf(options, kind)
      const { baudRate } = line
      const { pollMs } = options
      return openEscposPrinter(
        name,
        opener(line, context),
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

const SERIAL_OPTIONS = {
  ...SerialPortOptions,
  /** Absent: as the kind of printer is shipped. */
  baudRate: Type.Optional(Type.Integer({ minimum: 1200, maximum: 3_000_000 })),
}
type SerialSettings = Omit<SerialPortSettings, 'baudRate'> & { readonly baudRate?: number }

/** ESC/POS over a serial line. Profile driver `escpos-serial`. */
export const escposSerialDriver = escposDriver<SerialSettings>(
  'escpos-serial',
  SERIAL_OPTIONS,
  (settings) => serialPortOpener({ ...settings, baudRate: settings.baudRate ?? 115_200 }),
  (settings, { baudRate }) => ({ ...settings, baudRate: settings.baudRate ?? baudRate }),
)

/** ESC/POS over a USB printer's character device. Profile driver `escpos-usb`. */
export const escposUsbDriver = escposDriver<DeviceFilePortSettings>(
  'escpos-usb',
  DeviceFilePortOptions,
  deviceFilePortOpener,
  (settings) => settings,
)
