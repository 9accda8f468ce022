// Driver of lights and buzzer on GPIO lines, on the kernel's lamps (/sys/class/leds) and on PWM (/sys/class/pwm).
import { Type } from 'typebox'
import type { Driver } from '../../board.js'
import { createDeviceBase, deviceError } from '../../device-base.js'
import { checkTone, createLightWishes, createToneTurn } from '../../indicator-priority.js'
import { type Indicators, LIGHTS, type Light } from '../../indicators.js'
import { keepGpioOpen, openGpio } from '../gpio/gpio-device.js'
import {
  ActiveLowOption,
  type GpioBackend,
  GpioBackendOption,
  type GpioPort,
  LineName,
  type OpenGpio,
  parseLine,
} from '../gpio/gpio-port.js'
import {
  type Buzzer,
  INDICATOR_ROOTS,
  type IndicatorRoots,
  type Lamp,
  openLed,
  openPwmBuzzer,
} from './led-files.js'

const perLight = (schema: Parameters<typeof Type.Optional>[0]) =>
  Type.Optional(
    Type.Object(Object.fromEntries(LIGHTS.map((light) => [light, Type.Optional(schema)])), {
      additionalProperties: false,
    }),
  )
const Options = Type.Object(
  {
    backend: GpioBackendOption,
    /** Lights that have a GPIO line. */
    lines: perLight(LineName),
    /** Lights that the kernel has a driver for, by their names in /sys/class/leds. */
    leds: perLight(Type.String({ pattern: '^[A-Za-z0-9_.:-]{1,64}$' })),
    activeLow: ActiveLowOption,
    /** A buzzer that needs a frequency: PWM chip and channel, `fe20c000.pwm:0`. */
    buzzerPwm: Type.Optional(LineName),
    /** A buzzer that has its own: a GPIO line. */
    buzzerLine: Type.Optional(LineName),
    buzzerActiveLow: ActiveLowOption,
  },
  { additionalProperties: false },
)
interface Options {
  readonly backend: GpioBackend
  readonly lines?: Readonly<Partial<Record<Light, string>>>
  readonly leds?: Readonly<Partial<Record<Light, string>>>
  readonly activeLow: boolean
  readonly buzzerPwm?: string
  readonly buzzerLine?: string
  readonly buzzerActiveLow: boolean
}

/** Half of a blink. */
const BLINK_MS = 250
const named = (names: Options['lines']) => Object.entries(names ?? {}) as [Light, string][]

/** A port for boards whose lights need no GPIO line. */
const noLines = { check() {}, close() {} }

/** The driver; `open` brings the lines, `roots` are the kernel's unless a test has its own. */
export function lineIndicatorsDriver(
  open: OpenGpio = openGpio,
  roots: IndicatorRoots = INDICATOR_ROOTS,
): Driver<Indicators> {
  return {
    name: 'lines',
    deviceClass: 'indicators',
    optionsSchema: Options,
    async open(options: Options, context) {
      const { clock } = context
      const base = createDeviceBase<'indicators', 'ready'>(context, 'indicators', 'lines', 'ready')
      const lights = LIGHTS.filter((light) => options.lines?.[light] ?? options.leds?.[light])
      const tones = options.buzzerPwm !== undefined || options.buzzerLine !== undefined
      const needsGpio = named(options.lines).length > 0 || options.buzzerLine !== undefined
      const wishes = createLightWishes()
      const turn = createToneTurn()
      let lamps = new Map<Light, Lamp>()
      let buzzer: Buzzer | undefined
      let fail: (error: unknown) => void = () => undefined
      let phase = false
      let blinking: AbortController | undefined

      const show = () => {
        for (const [light, lamp] of lamps) {
          const state = wishes.shown(light)
          lamp.set(state === 'on' || (state === 'blink' && phase))
        }
      }
      /** One rhythm for all that blink, so that they blink together; none while nothing does. */
      const refresh = () => {
        show()
        const wanted = lights.some((light) => wishes.shown(light) === 'blink')
        if (wanted === (blinking !== undefined)) return
        blinking?.abort()
        blinking = wanted ? new AbortController() : undefined
        if (blinking !== undefined) void blink(blinking.signal)
      }
      const blink = async (signal: AbortSignal) => {
        try {
          for (;;) {
            phase = !phase
            show()
            await clock.sleep(BLINK_MS, signal)
          }
        } catch (error) {
          if (!signal.aborted) fail(error)
        }
      }

      const lineBuzzer = (port: GpioPort, name: string): Buzzer => {
        const line = port.output(parseLine(name), { activeLow: options.buzzerActiveLow, active: false })
        return { sound: (hz) => line.set(hz > 0), check: () => undefined }
      }
      function up(port: GpioPort, lost: (error: unknown) => void): () => void {
        const next = new Map<Light, Lamp>()
        for (const [light, name] of named(options.leds)) next.set(light, openLed(name, roots.leds))
        for (const [light, name] of named(options.lines)) {
          const line = port.output(parseLine(name), { activeLow: options.activeLow, active: false })
          next.set(light, { set: (on) => line.set(on), check: () => undefined })
        }
        if (options.buzzerPwm !== undefined) buzzer = openPwmBuzzer(options.buzzerPwm, roots.pwm)
        else if (options.buzzerLine !== undefined) buzzer = lineBuzzer(port, options.buzzerLine)
        lamps = next
        fail = lost
        refresh()
        base.update({ presence: 'ready' })
        return () => {
          blinking?.abort()
          blinking = undefined
          lamps = new Map()
          const last = buzzer
          buzzer = undefined
          fail = () => undefined
          // A light that stays on tells a story that nobody tells any more.
          for (const lamp of next.values()) lamp.set(false)
          last?.sound(0)
        }
      }
      const opened = async (): Promise<GpioPort> => {
        const port = needsGpio ? await open(options.backend) : (noLines as GpioPort)
        const check = () => {
          port.check()
          for (const lamp of lamps.values()) lamp.check()
          buzzer?.check()
        }
        return { input: port.input, output: port.output, check, close: port.close }
      }
      const done = keepGpioOpen(opened, clock, base.closing, {
        up,
        down: (reason) => base.update({ presence: 'lost', detail: reason }),
      })
      base.onClose(() => done)

      /** What fails here is a loss, to be told as one. */
      const attempt = (work: () => void) => {
        try {
          work()
        } catch (error) {
          fail(error)
          throw error
        }
      }
      return {
        ...base.device,
        capabilities: { lights, tones },
        async light(light, state, priority = 'normal') {
          wishes.set(light, state, priority)
          await base.operation({}, async () => {
            if (!lights.includes(light)) {
              throw deviceError('DEVICE_UNSUPPORTED', `this board has no light ${light}`, { light })
            }
            attempt(refresh)
          })
          base.count('LightChangeCount')
        },
        async tone(steps, signal, priority = 'normal') {
          checkTone(steps)
          await base.operation({ signal }, async (inner) => {
            if (!tones) throw deviceError('DEVICE_UNSUPPORTED', 'this board has no buzzer')
            await turn.play(priority, async (replaced) => {
              const end = AbortSignal.any([inner, replaced])
              try {
                for (const { hz, ms } of steps) {
                  attempt(() => buzzer?.sound(hz))
                  await clock.sleep(ms, end)
                }
              } finally {
                // Whoever took our place has the buzzer now.
                if (!replaced.aborted) attempt(() => buzzer?.sound(0))
              }
            })
          })
          base.count('ToneSoundedCount')
        },
      }
    },
  }
}
