// What runs in the guest: the kernel's simulators are loaded, then each real driver meets them.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { fuelGauge, panel, supplies, touch, typingReaders } from './devices.js'
import { keypads } from './keypads.js'
import { terminal } from './terminal.js'

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

const SUITES: Readonly<Record<string, (t: Test) => Promise<void>>> = {
  keypads,
  'typing-readers': typingReaders,
  touch,
  'fuel-gauge': fuelGauge,
  supplies,
  panel,
  terminal,
}
/** Named behind `npm run test:guest --`; all without. */
const named = /postern\.suites=(\S+)/.exec(readFileSync('/proc/cmdline', 'utf8'))?.[1]?.split(',')
for (const [name, suite] of Object.entries(SUITES))
  if (named === undefined || named.includes(name)) await t.test(name, suite)
