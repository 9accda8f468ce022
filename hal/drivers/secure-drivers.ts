// The drivers of real hardware that the secure world can be given: one row each.
import type { Clock } from '../base/clock.js'
import type { Driver } from '../board.js'
import { evdevKeypadDriver } from './evdev/evdev-keypad.js'
import { evdevSignatureDriver } from './evdev/evdev-signature-pad.js'
import { framebufferDriver } from './framebuffer/framebuffer-driver.js'
import { gpioKeysDriver } from './gpio/gpio-keys.js'
import { gpioMatrixDriver } from './gpio/matrix-keypad.js'
import { i2cBuses } from './i2c/i2c-bus.js'
import { lineIndicatorsDriver } from './indicators/line-indicators.js'
import { sh1106Driver, ssd1306Driver } from './oled/oled-driver.js'
import { pcscContactlessDriver, pcscDriver } from './pcsc/pcsc-driver.js'
import { pkcs11Driver } from './pkcs11/pkcs11-driver.js'
import { pn532UartDriver } from './pn532/pn532-driver.js'
import { max17048Driver } from './power/max17048.js'
import { powerSupplyDriver } from './power/power-supply-driver.js'
import { keyboardStripeReaderDriver } from './stripe/keyboard-stripe-reader.js'
import { serialStripeReaderDriver } from './stripe/serial-stripe-reader.js'
import { gpioTamperDriver } from './tamper/gpio-tamper.js'
import { tpm2Driver } from './tpm2/tpm2-driver.js'

export function secureDrivers(clock: Clock): readonly Driver[] {
  const i2c = i2cBuses(clock)
  return [
    ssd1306Driver(i2c),
    sh1106Driver(i2c),
    framebufferDriver(),
    evdevSignatureDriver(),
    evdevKeypadDriver(),
    gpioMatrixDriver(),
    gpioKeysDriver(),
    lineIndicatorsDriver(),
    gpioTamperDriver(),
    powerSupplyDriver(),
    max17048Driver(i2c),
    pcscDriver,
    pcscContactlessDriver,
    pn532UartDriver,
    keyboardStripeReaderDriver,
    serialStripeReaderDriver,
    tpm2Driver,
    pkcs11Driver,
  ]
}
