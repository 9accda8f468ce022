// What runs in the guest: the kernel's simulators are loaded, then each real driver meets them.
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { fuelGauge, panel, supplies, touch, typingReaders } from './devices.js'
import { keypads } from './keypads.js'

t.setTimeout(3_600_000)
/** MAX17048 (0x36) and an OLED (0x3c) on one bus. */
const MODULES = [
  ['configfs'],
  ['i2c-dev'],
  ['i2c-stub', 'chip_addr=0x36,0x3c'],
  ['uinput'],
  ['evdev'],
  ['vfb', 'vfb_enable=1'],
  ['gpio_sim'],
  ['test_power'],
]
for (const module of MODULES) execFileSync('modprobe', module)
t.pass('the simulators are loaded')
await t.test('keypads', keypads)
await t.test('readers that type, through uinput', typingReaders)
await t.test('a touch panel, through uinput', touch)
await t.test('a MAX17048 behind i2c-stub', fuelGauge)
await t.test('supplies of test_power', supplies)
await t.test('a framebuffer of vfb', panel)
