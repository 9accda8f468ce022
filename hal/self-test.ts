// Self-tests of devices: what a technician sees done and confirms, one for each class, over its interface alone.
import { toHex } from './base/bytes.js'
import type { Clock } from './base/clock.js'
import { isPosternError } from './base/errors.js'
import type { DeviceOfClass } from './board.js'
import type { ChipCardSession } from './chip-card-reader.js'
import type { Device, DeviceClass } from './device.js'
import type { Frame } from './display.js'
import type { Key } from './keypad.js'

/** The person at the bench, or nobody. */
export interface SelfTestDesk {
  tell(text: string): void
  /** `unasked` where nobody is there to look. Rejects when `signal` fires. */
  confirm(question: string, signal: AbortSignal): Promise<'yes' | 'no' | 'unasked'>
}

export interface SelfTestStep {
  readonly name: string
  /** `unseen`: it was done, and nobody looked. */
  readonly outcome: 'passed' | 'failed' | 'unseen'
  readonly detail?: string
}

export interface SelfTestTools {
  readonly desk: SelfTestDesk
  readonly clock: Clock
  /** Fires when the person cancels, or the time for one deed of a person is over. */
  readonly signal: AbortSignal
  /** Lines for the test page, in ASCII. */
  readonly page: readonly string[]
}

type Run<C extends DeviceClass> = (
  device: DeviceOfClass[C],
  tools: SelfTestTools,
) => AsyncGenerator<SelfTestStep>

const passed = (name: string, detail?: string): SelfTestStep => ({
  name,
  outcome: 'passed',
  ...(detail === undefined ? {} : { detail }),
})
const failed = (name: string, detail: string): SelfTestStep => ({ name, outcome: 'failed', detail })

async function seen(name: string, question: string, { desk, signal }: SelfTestTools): Promise<SelfTestStep> {
  const answer = await desk.confirm(question, signal)
  if (answer === 'unasked') return { name, outcome: 'unseen' }
  return answer === 'yes' ? passed(name) : failed(name, 'the person said no')
}

/** SELECT of the card's directory: any answer will do, as any card has something to say to it. EMV Book 1, 11.3 */
const SELECT_PSE = Uint8Array.of(
  0x00,
  0xa4,
  0x04,
  0x00,
  0x0e,
  ...Buffer.from('1PAY.SYS.DDF01', 'latin1'),
  0x00,
)
const SELECT_PPSE = Uint8Array.of(
  0x00,
  0xa4,
  0x04,
  0x00,
  0x0e,
  ...Buffer.from('2PAY.SYS.DDF01', 'latin1'),
  0x00,
)
const COMMAND_MS = 5000

async function talk(session: ChipCardSession, command: Uint8Array): Promise<SelfTestStep> {
  const outcome = await session.transmit(command, { timeoutMs: COMMAND_MS })
  await session.release()
  if (outcome.kind !== 'response') return failed('command', `the card was ${outcome.kind}`)
  return passed('command', `status ${toHex(outcome.bytes.slice(-2))}`)
}

/** Eight bars, a border of one pixel, and below them grey from black to white. */
export function testPicture(width: number, height: number): Frame {
  const bars = [0xffff, 0xffe0, 0x07ff, 0x07e0, 0xf81f, 0xf800, 0x001f, 0x0000]
  const pixels = new Uint16Array(width * height)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const grey = Math.floor((x * 32) / width)
      const inside =
        y < (height * 2) / 3 ? bars[Math.floor((x * 8) / width)]! : (grey << 11) | (grey << 6) | grey
      const border = x === 0 || y === 0 || x === width - 1 || y === height - 1
      pixels[y * width + x] = border ? 0xffff : inside
    }
  return { width, height, pixels }
}

/** The page as ESC/POS that every printer knows: initialise, lines, feed; cut where there is a cutter. */
export function pageBytes(lines: readonly string[], columns: number, cutter: boolean): Uint8Array {
  const fits = lines.flatMap((line) => line.match(new RegExp(`.{1,${columns}}`, 'g')) ?? [''])
  const text = fits.map((line) => `${line.replace(/[^\x20-\x7e]/g, '?')}\n`).join('')
  const cut = cutter ? [0x1d, 0x56, 0x42, 0x00] : []
  return Uint8Array.of(0x1b, 0x40, ...Buffer.from(text, 'latin1'), 0x1b, 0x64, 0x04, ...cut)
}

/** Waits for the event of a class that `take` accepts. */
function event<T, E extends { readonly type: string }>(
  device: { on(listener: (event: E) => void): () => void },
  take: (event: E) => T | undefined,
  signal: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const off = device.on((each) => {
      const found = take(each)
      if (found === undefined) return
      signal.removeEventListener('abort', onAbort)
      off()
      resolve(found)
    })
    const onAbort = () => {
      off()
      reject(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

const SELF_TESTS: { readonly [C in DeviceClass]: Run<C> } = {
  async *'chip-card-reader'(reader, { desk, signal }) {
    desk.tell('Put a chip card into the slot.')
    await reader.waitForCard(signal)
    const outcome = await reader.powerOn(signal)
    if (outcome.kind !== 'session') return yield failed('power', `the card is ${outcome.kind}`)
    const { atr, protocol } = outcome.session
    yield passed('power', `ATR ${toHex(atr)}, ${protocol}`)
    yield await talk(outcome.session, SELECT_PSE)
    desk.tell('Take the card out.')
    await reader.waitForRemoval(signal)
    yield passed('removal')
  },
  async *'contactless-reader'(reader, { desk, signal }) {
    desk.tell('Hold a contactless card to the reader.')
    const outcome = await reader.poll(signal)
    if (outcome.kind === 'collision') return yield failed('poll', 'more than one card')
    yield passed('poll', `type ${outcome.technology}, ATR ${toHex(outcome.session.atr)}`)
    yield await talk(outcome.session, SELECT_PPSE)
  },
  async *'magnetic-stripe-reader'(reader, { desk, signal }) {
    desk.tell('Swipe a card.')
    const { track1, track2 } = await reader.swipe(signal)
    // How long, never what: a track holds the card number.
    const shown = [track1, track2].map((track) =>
      track instanceof Uint8Array ? `${track.length} characters` : (track ?? 'none'),
    )
    for (const track of [track1, track2]) if (track instanceof Uint8Array) track.fill(0)
    const detail = `track 1: ${shown[0]}, track 2: ${shown[1]}`
    yield track2 instanceof Uint8Array ? passed('swipe', detail) : failed('swipe', detail)
  },
  async *keypad(keypad, { desk, signal }) {
    const left = new Set<Key>(keypad.capabilities.keys)
    desk.tell(`Press every key once: ${[...left].join(' ')}`)
    while (left.size > 0) {
      const waiting = event(
        keypad,
        (each) => (each.type === 'key' && !each.repeat ? each.key : undefined),
        signal,
      )
      const key = await waiting.catch(() => undefined)
      if (key === undefined) return yield failed('keys', `not pressed: ${[...left].join(' ')}`)
      left.delete(key)
    }
    yield passed('keys', `${keypad.capabilities.keys.length} keys`)
  },
  async *display(display, tools) {
    const { width, height } = display.capabilities
    await display.draw(testPicture(width, height), ['test picture'])
    yield passed('draw', `${width}x${height}`)
    yield await seen('picture', 'Are there bars and shades, within a border without gaps?', tools)
    await display.setBacklight('dim')
    yield await seen('backlight', 'Did the light get dimmer?', tools)
    await display.setBacklight('on')
  },
  async *printer(printer, tools) {
    const { columns, cutter } = printer.capabilities
    const outcome = await printer.print(
      { id: 'self-test', bytes: pageBytes(tools.page, columns, cutter) },
      tools.signal,
    )
    if (outcome.kind === 'interrupted') return yield failed('print', `stopped by ${outcome.cause}`)
    yield passed('print', `${columns} columns`)
    yield await seen('paper', 'Is the printed page whole and dark enough?', tools)
  },
  async *scanner(scanner, { desk, signal }) {
    desk.tell('Hold a barcode before the scanner.')
    const scanned = event(
      scanner,
      (each) =>
        each.type === 'scan' ? `${each.raw.length} bytes, AIM ${each.aim ?? 'not told'}` : undefined,
      signal,
    )
    scanned.catch(() => undefined)
    await scanner.trigger({ signal })
    yield passed('scan', await scanned)
  },
  async *indicators(indicators, tools) {
    const { lights, tones } = indicators.capabilities
    for (const light of lights) await indicators.light(light, 'on')
    yield await seen('lights', `Are these lights on: ${lights.join(', ')}?`, tools)
    for (const light of lights) await indicators.light(light, 'off')
    yield await seen('dark', 'Are all lights off?', tools)
    if (!tones) return
    await indicators.tone([{ hz: 1000, ms: 300 }], tools.signal)
    yield await seen('tone', 'Was there a tone?', tools)
  },
  async *power(power) {
    const { source, percent, temperatureC } = power.reading()
    yield passed(
      'reading',
      `${source}, ${percent} %${temperatureC === undefined ? '' : `, ${temperatureC} °C`}`,
    )
  },
  async *'signature-pad'(pad, { desk, signal }) {
    desk.tell('Sign on the pad.')
    const outcome = await pad.capture(signal)
    if (outcome.kind === 'cleared') return yield failed('signature', 'cleared')
    yield outcome.strokes.length > 0
      ? passed('signature', `${outcome.strokes.length} strokes`)
      : failed('signature', 'no stroke')
  },
  async *tamper(tamper) {
    const { state } = tamper.status()
    yield state === 'intact' ? passed('case') : failed('case', state)
  },
  async *'secure-element'(element) {
    const secret = Uint8Array.from({ length: 32 }, (_, at) => at)
    const opened = await element.unseal('self-test', await element.seal('self-test', secret))
    yield Buffer.compare(opened, secret) === 0 ? passed('seal') : failed('seal', 'another secret came back')
    const before = await element.increment('self-test')
    yield (await element.increment('self-test')) > before
      ? passed('counter')
      : failed('counter', 'does not count')
  },
  async *'fiscal-signer'(signer) {
    // Signing would take a number of the country's sequence: the state is all that may be asked.
    const { state } = signer.status()
    const detail = `${signer.capabilities.scheme}${signer.capabilities.certified ? '' : ', not certified'}`
    yield state === 'ready' ? passed('state', detail) : failed('state', `${state}, ${detail}`)
  },
}

/** Steps of the device's self-test as they are done. A device that is not there fails its first step; nothing is thrown. */
export async function* selfTest(
  device: Device<string, unknown>,
  tools: SelfTestTools,
): AsyncGenerator<SelfTestStep> {
  const { presence, detail } = device.status()
  if (presence !== 'ready') {
    yield failed('presence', `${presence}${detail === undefined ? '' : `: ${detail}`}`)
    return
  }
  yield passed('presence')
  try {
    yield* SELF_TESTS[device.deviceClass](device as never, tools)
  } catch (error) {
    const cancelled = isPosternError(error, 'ABORTED') || tools.signal.aborted
    yield failed('test', cancelled ? 'not done in its time, or cancelled' : (error as Error).message)
  }
}
