// A board profile out of what was found: a beginning for the technician, who knows what is behind a serial port.
import type { Found } from './probe.js'

interface Row {
  readonly class: string
  readonly driver: string
  readonly options: Readonly<Record<string, unknown>>
}
export interface Suggestion {
  readonly profile: { readonly name: string; readonly devices: Readonly<Record<string, Row>> }
  /** What only a person can say. */
  readonly questions: readonly string[]
}

/** The panel's size, where it tells one. */
function sizeOf(found: readonly Found[]): { width: number; height: number } | undefined {
  const panel = found.find(({ kind }) => kind === 'framebuffer')
  const [, width, height] = /(\d+)x(\d+)/.exec(panel?.name ?? '') ?? []
  return width === undefined || height === undefined
    ? undefined
    : { width: Number(width), height: Number(height) }
}

/** One row a kind of device; `take` is asked once for all that was found and makes at most one row. */
const ROWS: readonly {
  readonly id: string
  readonly take: (found: readonly Found[]) => Row | undefined
  readonly question?: string
}[] = [
  {
    id: 'display',
    take(found) {
      const panel = found.find(({ kind }) => kind === 'framebuffer')
      const oled = found.find(({ kind, name }) => kind === 'i2c' && name === 'OLED')
      if (oled !== undefined) {
        const [, bus = '1', address = '3C'] = /i2c-(\d+) (\w+)$/.exec(oled.at) ?? []
        return {
          class: 'display',
          driver: 'ssd1306',
          options: { bus: Number(bus), address: Number.parseInt(address, 16) },
        }
      }
      const size = sizeOf(found)
      if (panel === undefined || size === undefined) return undefined
      const light = found.find(({ kind }) => kind === 'backlight')
      return {
        class: 'display',
        driver: 'framebuffer',
        options: {
          framebuffer: Number(/\d+$/.exec(panel.at)?.[0] ?? 0),
          ...size,
          ...(light === undefined ? {} : { backlight: light.at }),
        },
      }
    },
    question: 'display: which way round it is (rotation); an OLED that shows shifted pictures is an sh1106',
  },
  {
    id: 'keypad',
    take(found) {
      const pad = found.find(({ kind, name }) => kind === 'input' && /^keypad: /.test(name))
      return (
        pad && {
          class: 'keypad',
          driver: 'evdev',
          options: { device: { name: pad.name.slice('keypad: '.length) } },
        }
      )
    },
    question: 'keypad: which of its keys are Enter, Clear and Cancel (layout or keys)',
  },
  {
    id: 'signature',
    take(found) {
      const touch = found.find(({ kind, name }) => kind === 'input' && /^touch: /.test(name))
      const size = sizeOf(found)
      if (touch === undefined || size === undefined) return undefined
      return {
        class: 'signature-pad',
        driver: 'evdev',
        options: { device: { name: touch.name.slice('touch: '.length) }, ...size },
      }
    },
  },
  {
    id: 'chip',
    take(found) {
      const readers = found.filter(({ kind }) => kind === 'reader').map(({ name }) => name)
      const contact = readers.find((name) => !isContactless(name))
      return contact === undefined
        ? undefined
        : { class: 'chip-card-reader', driver: 'pcsc', options: { reader: contact } }
    },
  },
  {
    id: 'contactless',
    take(found) {
      const reader = found.find(({ kind, name }) => kind === 'reader' && isContactless(name))
      return reader && { class: 'contactless-reader', driver: 'pcsc', options: { reader: reader.name } }
    },
    question: 'contactless: an interface of the reader was taken for contactless by its name',
  },
  {
    id: 'printer',
    take(found) {
      const usb = found.find(({ kind }) => kind === 'usb-printer')
      if (usb !== undefined) return { class: 'printer', driver: 'escpos-usb', options: { path: usb.at } }
      const serial = found.find(({ kind }) => kind === 'serial')
      return serial && { class: 'printer', driver: 'escpos-serial', options: { path: serial.at } }
    },
    question: 'printer: its paper (profile 58mm or 80mm) and, on a serial port, its baud rate',
  },
  {
    id: 'scanner',
    take(found) {
      const serial = found.filter(({ kind }) => kind === 'serial')
      const usb = found.some(({ kind }) => kind === 'usb-printer')
      const second = serial[usb ? 0 : 1]
      return second && { class: 'scanner', driver: 'scanner-lines', options: { path: second.at } }
    },
    question: 'scanner: whether the engine sends lines or speaks Zebra SSI, and which serial port is which',
  },
  {
    id: 'power',
    take(found) {
      if (found.some(({ kind, name }) => kind === 'power' && name === 'Battery'))
        return { class: 'power', driver: 'power-supply', options: {} }
      const gauge = found.find(({ kind, name }) => kind === 'i2c' && name === 'MAX17048')
      const bus = /i2c-(\d+)/.exec(gauge?.at ?? '')?.[1]
      return bus === undefined
        ? undefined
        : { class: 'power', driver: 'max17048', options: { bus: Number(bus) } }
    },
  },
  {
    id: 'secure-element',
    take: (found) => (found.some(({ kind }) => kind === 'tpm') ? TPM : undefined),
    question: "secure element: where the release key and the release's measurements are",
  },
]

const TPM: Row = {
  class: 'secure-element',
  driver: 'tpm2',
  options: { releaseKey: '/etc/postern/release.pem', measurements: '/usr/lib/postern/measurements.json' },
}

/** NOTE: PC/SC names no interface's kind; these are the words that makers use. */
const isContactless = (name: string) => /picc|contactless|nfc|\bcl\b/i.test(name)

export function suggestProfile(found: readonly Found[]): Suggestion {
  const rows = ROWS.map((row) => ({ ...row, made: row.take(found) })).filter(({ made }) => made !== undefined)
  return {
    profile: { name: 'my-board', devices: Object.fromEntries(rows.map(({ id, made }) => [id, made!])) },
    questions: rows.flatMap(({ question }) => question ?? []),
  }
}
