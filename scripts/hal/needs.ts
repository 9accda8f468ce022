// What a driver needs of the machine, for the technician who wonders why a device is not there.
import type { BoardDevice } from '../../hal/board.js'

/** By driver's name. A device's own file comes from its options. */
const NEEDS: Readonly<Record<string, string>> = {
  pcsc: 'pcscd running; @pokusew/pcsclite or smartcard built (libpcsclite-dev)',
  'pn532-uart': 'the group dialout',
  'escpos-serial': 'the group dialout',
  'escpos-usb': 'the group lp',
  'scanner-lines': 'the group dialout',
  'scanner-ssi': 'the group dialout',
  'scanner-evdev': 'the group input; epoll and ioctl built',
  evdev: 'the group input; epoll and ioctl built',
  ssd1306: 'i2c-dev loaded, the group i2c; i2c-bus built',
  sh1106: 'i2c-dev loaded, the group i2c; i2c-bus built',
  max17048: 'i2c-dev loaded, the group i2c; i2c-bus built',
  framebuffer: 'the group video',
  'gpio-matrix': 'the group gpio; onoff and epoll, or epoll and ioctl, built',
  'gpio-keys': 'the group gpio; onoff and epoll, or epoll and ioctl, built',
  'power-supply': '/sys/class/power_supply',
  tpm2: 'tpm2-tools, the group tss',
  pkcs11: 'pkcs11js built, and the token library',
  simulated: "the virtual handheld's socket: npm start",
}

/** One sentence, without a full stop. */
export function needsOf({ driver, options }: BoardDevice): string {
  const own = ['path', 'socket', 'device', 'module']
    .map((key) => options[key])
    .find((value) => typeof value === 'string')
  const bus = typeof options['bus'] === 'number' ? `/dev/i2c-${options['bus']}` : undefined
  const frame = driver === 'framebuffer' ? `/dev/fb${options['framebuffer'] ?? '*'}` : undefined
  return [own, bus, frame, NEEDS[driver]].filter((each) => each !== undefined).join('; ')
}
