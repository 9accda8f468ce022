// Case switches against the conformance suite, and a latch that only a technician opens.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../hal/base/clock.js'
import { parseBoard } from '../../../hal/board.js'
import { loadFileCalls } from '../../../hal/drivers/device-file.js'
import { characterDevicePort } from '../../../hal/drivers/gpio/character-device-port.js'
import {
  GPIO_GET_CHIPINFO,
  GPIO_V2_GET_LINE,
  GPIO_V2_LINE_GET_VALUES,
  GPIO_V2_LINE_SET_VALUES,
  LINE_FLAG,
  lineRequest,
} from '../../../hal/drivers/gpio/gpio-uapi.js'
import { onoffPort } from '../../../hal/drivers/gpio/onoff-port.js'
import { globalLineNumber } from '../../../hal/drivers/gpio/sysfs-chips.js'
import { gpioTamperDriver } from '../../../hal/drivers/tamper/gpio-tamper.js'
import { clearTamperLatch } from '../../../hal/drivers/tamper/tamper-latch.js'
import { eventually, testContext } from '../conformance/support.js'
import { tamperConformance } from '../conformance/tamper.js'
import { FakeChip, fakeCharacterDevice, fakeSysfs } from './gpio-bench.js'

t.setTimeout(120_000)
const folder = mkdtempSync(join(tmpdir(), 'tamper-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const calls = await loadFileCalls().catch((error: Error) => error.message)

function bench(name: string, kind: 'onoff' | 'character-device') {
  const chip = new FakeChip('case', 4)
  const root = join(folder, name)
  const latch = join(root, 'latch', 'tamper.json')
  const { Gpio } = fakeSysfs(chip, root, 512)
  const kernel =
    typeof calls === 'string' ? undefined : fakeCharacterDevice(chip, join(root, 'dev'), calls.Epoll)
  const driver = gpioTamperDriver(async () =>
    kind === 'onoff' ? onoffPort(Gpio, systemClock, root) : characterDevicePort(kernel!, join(root, 'dev')),
  )
  const options = { backend: kind, sensors: { case: 'case:1', mesh: 'case:3' }, activeLow: true, latch }
  const lines: Readonly<Record<string, number>> = { case: 1, mesh: 3 }
  return {
    chip,
    latch,
    open: () => driver.open(options as never, testContext('tamper')),
    trip: (sensor: string) => chip.pull(lines[sensor]!, 0),
    close: (sensor: string) => chip.pull(lines[sensor]!, 1),
    clear() {
      for (const offset of Object.values(lines)) chip.pull(offset, 1)
      clearTamperLatch(latch)
    },
  }
}

for (const kind of ['onoff', 'character-device'] as const) {
  const skip = kind === 'character-device' && typeof calls === 'string' ? calls : false
  await t.test(`case switches over ${kind}`, { skip }, async (t) => {
    const { chip, open, trip, clear } = bench(kind, kind)
    await tamperConformance(t, { open, trip, clear, cable: chip })
  })
}

await t.test('only a technician opens the latch', async (t) => {
  const { latch, open, trip, close, clear } = bench('latch', 'onoff')
  const first = await open()
  await eventually('ready', () => first.status().presence === 'ready')
  t.equal(first.status().state, 'intact')
  trip('case')
  close('case')
  await eventually('a moment is enough', () => first.status().state === 'tampered')
  await first.close()

  const second = await open()
  t.match(second.status(), { state: 'tampered' }, 'from the first moment, lines or not')
  await eventually('ready', () => second.status().presence === 'ready')
  t.equal(second.status().detail, 'case')
  const told: string[] = []
  second.on((event) => event.type === 'tamper' && told.push(event.sensor))
  trip('mesh')
  await eventually('another sensor is told', () => told.length === 1)
  clear()
  trip('mesh')
  await eventually('a switch that is open trips again', () => told.length === 2)
  t.same(told, ['mesh', 'mesh'])
  clear()
  await eventually('intact', () => second.status().state === 'intact')
  t.equal(second.statistics()['TamperCount'], 2)
  trip('case')
  await eventually('tampered', () => second.status().state === 'tampered')
  await second.close()
  close('case')
  writeFileSync(latch, Buffer.concat([readFileSync(latch).subarray(0, 70)]))
  const third = await open()
  t.equal(third.status().state, 'tampered', 'whoever spoils the latch clears nothing')
  await third.close()
  clear()
})

await t.test('a line is found by its chip, wherever the kernel begins to count', async (t) => {
  const root = join(folder, 'chips')
  for (const [label, count, base] of [
    ['pinctrl-bcm2711', 58, 512],
    ['gpio-expander', 8, 570],
    ['twice', 8, 600],
    ['twice', 8, 608],
  ] as const)
    fakeSysfs(new FakeChip(label, count), root, base)
  t.equal(globalLineNumber({ chip: 'pinctrl-bcm2711', offset: 17 }, root), 529)
  t.equal(globalLineNumber({ chip: 'gpio-expander', offset: 7 }, root), 577)
  t.throws(() => globalLineNumber({ chip: 'gpio-expander', offset: 8 }, root), /has lines 0 to 7, not 8/)
  t.throws(
    () => globalLineNumber({ chip: 'twice', offset: 0 }, root),
    /more than one GPIO chip is labelled twice/,
  )
  t.throws(
    () => globalLineNumber({ chip: 'bcm', offset: 0 }, root),
    /there are pinctrl-bcm2711 \(58 lines\), gpio/,
  )
  t.throws(() => globalLineNumber({ chip: 'x', offset: 0 }, '/nonexistent'), /"backend": "character-device"/)
})

await t.test("numbers and places of the character device are the kernel's", async (t) => {
  const source = `
#include <linux/gpio.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
int main(void) {
  struct gpio_v2_line_request r;
  memset(&r, 0, sizeof r);
  r.offsets[0] = 17; strcpy(r.consumer, "postern"); r.num_lines = 1;
  r.config.flags = GPIO_V2_LINE_FLAG_OUTPUT | GPIO_V2_LINE_FLAG_ACTIVE_LOW | GPIO_V2_LINE_FLAG_OPEN_DRAIN;
  r.config.num_attrs = 1;
  r.config.attrs[0].attr.id = GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES;
  r.config.attrs[0].attr.values = 1; r.config.attrs[0].mask = 1;
  printf("%lx %lx %lx %lx %zu %zu ", (unsigned long)GPIO_GET_CHIPINFO_IOCTL, (unsigned long)GPIO_V2_GET_LINE_IOCTL,
    (unsigned long)GPIO_V2_LINE_GET_VALUES_IOCTL, (unsigned long)GPIO_V2_LINE_SET_VALUES_IOCTL,
    offsetof(struct gpio_v2_line_request, fd), sizeof(struct gpio_v2_line_event));
  for (size_t i = 0; i < sizeof r; i++) printf("%02x", ((unsigned char *)&r)[i]);
}`
  let printed: string
  try {
    writeFileSync(join(folder, 'gpio.c'), source)
    execFileSync('cc', ['-o', join(folder, 'gpio'), join(folder, 'gpio.c')], { stdio: 'pipe' })
    printed = execFileSync(join(folder, 'gpio'), { encoding: 'latin1' })
  } catch {
    t.comment('no C compiler with linux/gpio.h here')
    return
  }
  const numbers = [GPIO_GET_CHIPINFO, GPIO_V2_GET_LINE, GPIO_V2_LINE_GET_VALUES, GPIO_V2_LINE_SET_VALUES]
  const flags = LINE_FLAG.output | LINE_FLAG.activeLow | LINE_FLAG.openDrain
  const ours = `${numbers.map((number) => number.toString(16)).join(' ')} 588 48 ${lineRequest(17, 'postern', flags, true).toString('hex')}`
  t.equal(ours, printed)
})

await t.test('wrong options are refused with key, value and what would be right', async (t) => {
  const lines = (options: object) =>
    parseBoard({ name: 'b', devices: { tamper: { class: 'tamper', driver: 'gpio', options } } }, [
      gpioTamperDriver(),
    ]).problems.map(
      ({ key, value, allowed }) => `${key.replace('/devices/tamper/options', '')} ${value} ${allowed}`,
    )
  t.same(lines({ sensors: { case: 'soc:1' }, latch: '/var/lib/postern/secure/tamper.json' }), [])
  t.match(lines({ sensors: { case: 5 }, latch: '/l' }), [/^\/sensors\/case 5 has to/])
  t.match(lines({ sensors: { Case: 'soc:5' }, latch: '/l' }), [
    /^\/sensors\/Case "soc:5" is no known key; there are case, back/,
  ])
  t.match(lines({ sensors: { case: 'soc:1' } }), [/^\/latch .*has to be there/])
})
