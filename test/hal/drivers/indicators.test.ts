// Lights and buzzer against the conformance suite: GPIO lines with a PWM buzzer, and the kernel's lamps with a line.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../hal/base/clock.js'
import { parseBoard } from '../../../hal/board.js'
import { onoffPort } from '../../../hal/drivers/gpio/onoff-port.js'
import { lineIndicatorsDriver } from '../../../hal/drivers/indicators/line-indicators.js'
import type { LightState } from '../../../hal/indicators.js'
import { indicatorsConformance } from '../conformance/indicators.js'
import { codeOf, eventually, testContext } from '../conformance/support.js'
import { FakeChip, fakeSysfs } from './gpio-bench.js'

t.setTimeout(240_000)
const folder = mkdtempSync(join(tmpdir(), 'indicators-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

/** Two lamps, a PWM channel and the chip they may hang on. */
function board(name: string) {
  const chip = new FakeChip('lamps', 8)
  const root = join(folder, name)
  const { Gpio } = fakeSysfs(chip, join(root, 'gpio'), 512)
  const roots = { leds: join(root, 'leds'), pwm: join(root, 'pwm') }
  const pwm = join(roots.pwm, 'pwmchip3')
  mkdirSync(join(root, 'fe20c000.pwm'), { recursive: true })
  mkdirSync(pwm, { recursive: true })
  symlinkSync(join(root, 'fe20c000.pwm'), join(pwm, 'device'))
  writeFileSync(join(pwm, 'export'), '')
  // As the kernel does: a channel that is exported appears with its attributes.
  const watcher = watch(join(pwm, 'export'), () => {
    const channel = readFileSync(join(pwm, 'export'), 'latin1')
    if (channel === '') return
    const making = join(pwm, `.pwm${channel}`)
    mkdirSync(making, { recursive: true })
    for (const file of ['period', 'duty_cycle', 'enable']) writeFileSync(join(making, file), '0\n')
    writeFileSync(join(pwm, 'export'), '')
    renameSync(making, join(pwm, `pwm${channel}`))
  })
  const lamp = (led: string) => {
    mkdirSync(join(roots.leds, led), { recursive: true })
    for (const [file, value] of Object.entries({
      brightness: 127,
      max_brightness: 255,
      trigger: 'heartbeat',
    }))
      writeFileSync(join(roots.leds, led, file), `${value}\n`)
  }
  const read = (path: string) => Number(readFileSync(join(root, path), 'latin1'))
  const driver = lineIndicatorsDriver(async () => onoffPort(Gpio, systemClock, join(root, 'gpio')), roots)
  return {
    chip,
    roots,
    lamp,
    read,
    open: (options: object) =>
      driver.open(
        { activeLow: false, buzzerActiveLow: false, backend: 'onoff', ...options } as never,
        testContext('indicators'),
      ),
    end: () => watcher.close(),
  }
}

/** What an eye makes of a lamp that it looks at for a while. */
function eye(now: () => boolean) {
  const seen: { on: boolean; atMs: number }[] = []
  const timer = setInterval(() => {
    const on = now()
    if (seen.at(-1)?.on !== on) seen.push({ on, atMs: performance.now() })
  }, 5)
  return {
    see(): LightState {
      const lately = seen.filter(({ atMs }) => performance.now() - atMs < 700)
      return lately.length > 1 ? 'blink' : now() ? 'on' : 'off'
    },
    end: () => clearInterval(timer),
  }
}

await t.test('lights on lines, low is on, and a buzzer on PWM', async (t) => {
  const { chip, read, open, end } = board('lines')
  const eyes = {
    secure: eye(() => chip.driven.get(2) === 0),
    alert: eye(() => chip.driven.get(5) === 0),
  }
  await indicatorsConformance(t, {
    open: () =>
      open({
        lines: { secure: 'lamps:2', alert: 'lamps:5' },
        activeLow: true,
        buzzerPwm: 'fe20c000.pwm:1',
      }),
    light: (light) => eyes[light as 'secure' | 'alert'].see(),
    sounding() {
      if (read('pwm/pwmchip3/pwm1/enable') === 0) return undefined
      const period = read('pwm/pwmchip3/pwm1/period')
      return read('pwm/pwmchip3/pwm1/duty_cycle') === Math.round(period / 2)
        ? [Math.round(1e9 / period)]
        : undefined
    },
    cable: chip,
  })
  for (const each of Object.values(eyes)) each.end()
  end()
})

await t.test("the kernel's lamps, without a GPIO line", async (t) => {
  const { lamp, roots, read, open, end } = board('leds')
  lamp('postern:secure')
  const secure = eye(() => existsSync(roots.leds) && read('leds/postern:secure/brightness') === 255)
  await indicatorsConformance(t, {
    open: () => open({ leds: { secure: 'postern:secure' } }),
    light: () => secure.see(),
    sounding: () => undefined,
    cable: {
      unplug: () => renameSync(roots.leds, `${roots.leds}.away`),
      plug: () => renameSync(`${roots.leds}.away`, roots.leds),
    },
  }).finally(secure.end)
  t.equal(
    readFileSync(join(roots.leds, 'postern:secure', 'trigger'), 'latin1'),
    'none',
    'no trigger of the kernel',
  )

  const indicators = await open({ leds: { secure: 'postern:secure' } })
  await eventually('ready', () => indicators.status().presence === 'ready')
  t.equal(await codeOf('tone', indicators.tone([{ hz: 440, ms: 5 }])), 'DEVICE_UNSUPPORTED')
  t.equal(await codeOf('light', indicators.light('alert', 'on')), 'DEVICE_UNSUPPORTED')
  await indicators.close()
  const absent = await open({ leds: { secure: 'postern:secure' }, buzzerPwm: 'pwmchip9:0' })
  await eventually('says why', () => absent.status().presence === 'lost')
  t.equal(absent.status().detail, 'no PWM chip is called pwmchip9; there are fe20c000.pwm')
  await absent.close()
  end()
})

await t.test('a buzzer with its own frequency is on or off', async (t) => {
  const { chip, open, end } = board('buzzer')
  const indicators = await open({
    lines: { secure: 'lamps:0' },
    buzzerLine: 'lamps:7',
    buzzerActiveLow: true,
  })
  await eventually('ready', () => indicators.status().presence === 'ready')
  t.equal(chip.driven.get(7), 1, 'silent from the start')
  const before = chip.changes.length
  await indicators.tone([
    { hz: 800, ms: 20 },
    { hz: 0, ms: 20 },
    { hz: 800, ms: 20 },
  ])
  t.same(
    chip.changes
      .slice(before)
      .filter(({ offset }) => offset === 7)
      .map(({ level }) => level),
    [0, 1, 0, 1],
  )
  await indicators.close()
  end()
})

await t.test('wrong options are refused with key, value and what would be right', async (t) => {
  const drivers = [lineIndicatorsDriver()]
  const lines = (options: object) =>
    parseBoard(
      { name: 'b', devices: { lamps: { class: 'indicators', driver: 'lines', options } } },
      drivers,
    ).problems.map(
      ({ key, value, allowed }) => `${key.replace('/devices/lamps/options', '')} ${value} ${allowed}`,
    )
  t.same(lines({ lines: { secure: 'lamps:2' } }), [])
  t.match(lines({ lines: { red: 'lamps:2' } }), [
    /^\/lines\/red "lamps:2" is no known key; there are secure, contactless1/,
  ])
  t.match(lines({ leds: { secure: '../x' } }), [/^\/leds\/secure "\.\.\/x" has to/])
  t.match(lines({ buzzerPwm: 'pwmchip0' }), [/^\/buzzerPwm "pwmchip0" has to/])
})
