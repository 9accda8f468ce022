// Driver of a matrix keypad on GPIO lines: scans row by row while any key is down, rests otherwise.
import { Type } from 'typebox'
import type { Driver } from '../../board.js'
import { createDeviceBase } from '../../device-base.js'
import { createKeyContacts } from '../../key-contacts.js'
import { KEYS, type Key, type KeyPress, type Keypad } from '../../keypad.js'
import { keepGpioOpen, openGpio } from './gpio-device.js'
import {
  type GpioBackend,
  GpioBackendOption,
  type GpioInput,
  type GpioOutput,
  type GpioPort,
  LineName,
  type OpenGpio,
  parseLine,
} from './gpio-port.js'
import { type SampledKeys, type Sampling, startSampling } from './sampled-keys.js'

export const KeyName = Type.Unsafe<Key>(Type.Union(KEYS.map((key) => Type.Literal(key))))

const Options = Type.Object(
  {
    backend: GpioBackendOption,
    /** Lines that are driven, one a row of `keys`. */
    rows: Type.Array(LineName, { minItems: 1, maxItems: 8, uniqueItems: true }),
    /** Lines that are read, one a column. */
    columns: Type.Array(LineName, { minItems: 1, maxItems: 8, uniqueItems: true }),
    /** What is where; null where no key is. Missing places have none. */
    keys: Type.Array(Type.Array(Type.Union([KeyName, Type.Null()]), { maxItems: 8 }), {
      minItems: 1,
      maxItems: 8,
    }),
    /** Rows are driven low and columns pulled up, as nearly every board does; false the other way round. */
    activeLow: Type.Boolean({ default: true }),
    /** Lets the chip pull the columns (character device only); leave it out where the board has resistors. */
    bias: Type.Optional(Type.Union([Type.Literal('pull-up'), Type.Literal('pull-down')])),
    /** `scan` for lines that raise no interrupt (many port expanders): looks every 10 ms, always. */
    wake: Type.Union([Type.Literal('interrupt'), Type.Literal('scan')], { default: 'interrupt' }),
    /** How long a column needs to follow its row, in µs: RC of pull-up and wire. */
    settleUs: Type.Integer({ minimum: 0, maximum: 1000, default: 20 }),
  },
  { additionalProperties: false },
)
interface Options {
  readonly backend: GpioBackend
  readonly rows: readonly string[]
  readonly columns: readonly string[]
  readonly keys: readonly (readonly (Key | null)[])[]
  readonly activeLow: boolean
  readonly bias?: 'pull-up' | 'pull-down'
  readonly wake: 'interrupt' | 'scan'
  readonly settleUs: number
}

/** Microseconds are too short for a timer. */
function wait(us: number): void {
  const end = process.hrtime.bigint() + BigInt(us) * 1000n
  while (process.hrtime.bigint() < end);
}

function matrixOf(port: GpioPort, options: Options, onEdge: (() => void) | undefined): SampledKeys {
  const { activeLow, bias, settleUs, keys } = options
  const columns: GpioInput[] = options.columns.map((name) =>
    port.input(parseLine(name), {
      activeLow,
      ...(bias === undefined ? {} : { bias }),
      ...(onEdge === undefined ? {} : { onEdge }),
    }),
  )
  const rows: GpioOutput[] = options.rows.map((name) =>
    port.output(parseLine(name), { activeLow, openWhenInactive: true, active: true }),
  )
  return {
    /** Only one row is active at a time, the others are not driven; at rest all are, so that any key makes an edge. */
    sample() {
      const closed = new Set<Key>()
      for (const row of rows) row.set(false)
      for (const [at, row] of rows.entries()) {
        row.set(true)
        wait(settleUs)
        for (const [column, line] of columns.entries()) {
          const key = keys[at]?.[column]
          if (key !== null && key !== undefined && line.read()) closed.add(key)
        }
        row.set(false)
      }
      for (const row of rows) row.set(true)
      wait(settleUs)
      return closed
    },
    anyDown: () => columns.some((line) => line.read()),
  }
}

/** The driver; `open` brings the lines. */
export function gpioMatrixDriver(open: OpenGpio = openGpio): Driver<Keypad> {
  return {
    name: 'gpio-matrix',
    deviceClass: 'keypad',
    optionsSchema: Options,
    async open(options: Options, context) {
      const { clock } = context
      const base = createDeviceBase<'keypad', 'ready', KeyPress>(context, 'keypad', 'gpio-matrix', 'ready')
      const keys = [...new Set(options.keys.flat().filter((key) => key !== null))]
      const contacts = createKeyContacts({
        clock,
        keys,
        matrix: options.keys,
        ticked: true,
        emit: base.emit,
        count: base.count,
      })

      function up(port: GpioPort, lost: (error: unknown) => void): () => void {
        let sampling: Sampling | undefined
        const interrupts = options.wake === 'interrupt'
        const matrix = matrixOf(port, options, interrupts ? () => sampling?.wake() : undefined)
        sampling = startSampling(matrix, keys, contacts, clock, !interrupts, lost)
        base.update({ presence: 'ready' })
        return sampling.stop
      }

      const done = keepGpioOpen(() => open(options.backend), clock, base.closing, {
        up,
        down(reason) {
          contacts.reset()
          base.update({ presence: 'lost', detail: reason })
        },
      })
      base.onClose(() => done)
      base.onClose(() => contacts.reset())
      return { ...base.device, capabilities: { keys } }
    },
  }
}
