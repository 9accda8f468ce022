// The virtual handheld behind its page: actions, faults, who may ask, what is told in which order.
import { request } from 'node:http'
import { inflateRawSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { ascii, concat } from '../../../hal/base/bytes.js'
import { KEYS } from '../../../hal/keypad.js'
import type { VirtualCard } from '../../../hal/simulated/virtual-card.js'
import { readTrack, writeTrack } from '../../../hal/stripe-tracks.js'
import { checker } from '../../../runtime/api/contract.js'
import { Action, CUT_MOMENTS, type SwipeManner } from '../../../scripts/dev/handheld/action.js'
import { groupOf, sorted } from '../../../scripts/dev/handheld/card-groups.js'
import { createHandheld, type Handheld } from '../../../scripts/dev/handheld/handheld.js'
import { createPaperText } from '../../../scripts/dev/handheld/paper-text.js'
import { createPowerCut } from '../../../scripts/dev/handheld/power-cut.js'
import { servePage } from '../../../scripts/dev/handheld/server.js'
import { swiped } from '../../../scripts/dev/handheld/swipe.js'
import type { Deck } from '../../../scripts/dev/issuer/deck.js'

const OK = Uint8Array.of(0x90, 0x00)
const command = (ins: number) => Uint8Array.of(0x80, ins, 0, 0)

/** A card that answers 9000 to everything and notes which INS it saw. */
function plainCard(): VirtualCard & { readonly seen: number[] } {
  const seen: number[] = []
  return {
    seen,
    powerOn: () => Uint8Array.of(0x3b, 0x60, 0, 0),
    powerOff: () => undefined,
    async transmit(apdu) {
      seen.push(apdu[1]!)
      return OK
    },
  }
}

const FACE = { description: '', colour: '#000000', pinHint: '1234', maskedPan: '99****01', expiry: '3512' }
function smallDeck(): Deck {
  const chips = new Map<string, VirtualCard>()
  return {
    cards: ['stolen', 'low-value', 'mute', 'credit-pin'].map((id) => ({ ...FACE, id, label: id })),
    card(id) {
      if (id === 'nobody') throw new Error('no such card')
      const chip = chips.get(id) ?? plainCard()
      chips.set(id, chip)
      return chip
    },
    stripe: () => ({ track1: writeTrack(1, 'B9999'), track2: writeTrack(2, '9999=3512') }),
  }
}

const SURROUNDINGS = {
  worlds: { secure: 'running' },
  missing: ['a network of its own'],
  links: [],
  labels: [{ text: 'PH-1', label: 'Anna' }],
}

async function served(
  test: Test,
): Promise<{ handheld: Handheld; port: number; powers: string[]; changed: () => void }> {
  const powers: string[] = []
  const handheld = createHandheld({ cards: smallDeck(), onPower: (power) => powers.push(power) })
  const page = await servePage(handheld, { ...SURROUNDINGS }, 0)
  test.teardown(() => {
    page.server.closeAllConnections()
    page.server.close()
    handheld.close()
  })
  return { handheld, port: page.port, powers, changed: page.changed }
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly headers: NodeJS.Dict<string | string[]>
}
/** Asks with headers that fetch would not send. */
function ask(
  port: number,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port, path, method: options.method ?? 'GET', headers: options.headers ?? {} },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          text += chunk
        })
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text, headers: response.headers }),
        )
        response.on('error', reject)
      },
    )
    asked.on('error', reject)
    asked.setTimeout(30_000, () => asked.destroy(new Error('no answer')))
    asked.end(options.body)
  })
}
const act = (port: number, action: unknown, headers: Record<string, string> = {}) =>
  ask(port, '/api/do', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof action === 'string' ? action : JSON.stringify(action),
  })

interface Heard {
  readonly event: string
  readonly data: Record<string, unknown>
}
/** Follows `/api/events`; `until` resolves when `enough` holds of what was heard. */
function follow(test: Test, port: number): { heard: Heard[]; until(enough: () => boolean): Promise<void> } {
  const heard: Heard[] = []
  let wake = () => {}
  const asked = request({ host: '127.0.0.1', port, path: '/api/events' }, (response) => {
    let held = ''
    response.setEncoding('utf8')
    response.on('error', () => undefined)
    response.on('data', (chunk: string) => {
      const parts = (held + chunk).split('\n\n')
      held = parts.pop() ?? ''
      for (const part of parts) {
        const [event, data] = part.split('\n')
        heard.push({ event: event!.slice(7), data: JSON.parse(data!.slice(6)) })
      }
      wake()
    })
  })
  asked.on('error', () => undefined)
  asked.end()
  test.teardown(() => asked.destroy())
  return {
    heard,
    async until(enough) {
      const late = setTimeout(() => asked.destroy(), 10_000)
      while (!enough()) {
        await new Promise<void>((resolve, reject) => {
          wake = resolve
          asked.once('close', () => reject(new Error(`heard only ${heard.map(({ event }) => event)}`)))
        })
      }
      clearTimeout(late)
    },
  }
}

t.test('an action is one of the known ones, whole and nothing else', async (t) => {
  const check = checker(Action)
  const good: unknown[] = [
    { insert: 'credit-pin' },
    { pull: true },
    ...KEYS.map((key) => ({ key })),
    { key: 'clear', holdMs: 900 },
    { scan: 'PH-100001' },
    { fault: { name: 'printer', args: { fault: 'paperOut', on: true } } },
    { network: 'off' },
    { power: 'cut' },
    ...CUT_MOMENTS.map((cutAt) => ({ power: { cutAt } })),
    { tear: true },
  ]
  for (const action of good) t.equal(check(action), undefined, JSON.stringify(action))
  const bad: unknown[] = [
    null,
    [],
    'pull',
    {},
    { pull: false },
    { pull: true, insert: 'x' },
    { insert: '' },
    { insert: 'x'.repeat(65) },
    { key: 'F1' },
    { key: '1', holdMs: 9 },
    { key: '1', holdMs: 5001 },
    { scan: '' },
    { scan: 'x'.repeat(4001) },
    { network: 'maybe' },
    { power: 'later' },
    { power: { cutAt: 'noon' } },
    { fault: { name: '' } },
    { fault: { name: 'a', other: 1 } },
  ]
  for (const action of bad) t.type(check(action), 'string', JSON.stringify(action).slice(0, 60))
})

t.test('the page is answered to this machine only, under its own name and from its own pages', async (t) => {
  const { port, handheld } = await served(t)
  const own = `127.0.0.1:${port}`
  t.equal((await ask(port, '/')).status, 200)
  t.equal((await ask(port, '/', { headers: { host: `localhost:${port}` } })).status, 200)
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    '127.0.0.1',
    `127.0.0.1:${port}.evil.example`,
  ]) {
    for (const path of ['/', '/api/state', '/api/events', '/api/paper.png']) {
      t.equal((await ask(port, path, { headers: { host } })).status, 403, `${host} ${path}`)
    }
  }
  for (const origin of ['null', 'http://evil.example', `https://${own}`, `http://${own}.evil.example`]) {
    t.equal((await act(port, { insert: 'credit-pin' }, { origin })).status, 403, origin)
  }
  t.equal(handheld.inserted(), undefined, 'and nothing was done')
  t.equal((await act(port, { insert: 'credit-pin' }, { origin: `http://${own}` })).status, 200)
  t.equal(handheld.inserted(), 'credit-pin')
  const { headers } = await ask(port, '/')
  t.match(headers['content-security-policy'], /default-src 'self'.*frame-ancestors 'none'/)
  t.equal(headers['x-content-type-options'], 'nosniff')
  t.equal(headers['access-control-allow-origin'], undefined)
})

t.test('what is no action is refused and harms nothing', async (t) => {
  const { port, handheld } = await served(t)
  t.equal((await act(port, '{')).status, 400)
  t.match((await act(port, { dance: true })).text, /no such action/)
  t.match((await act(port, { insert: 'nobody' })).text, /failed/)
  t.match((await act(port, { fault: { name: 'rain' } })).text, /no fault .*there are/)
  t.match((await act(port, { fault: { name: 'slowWire', args: { ms: -1 } } })).text, /it takes ms/)
  t.match((await act(port, { fault: { name: 'printer', args: { fault: 'rain' } } })).text, /paperOut/)
  t.equal(
    (await act(port, { pull: true }, { 'content-type': 'text/plain' })).status,
    415,
    'no form of a page',
  )
  t.equal((await ask(port, '/api/do')).status, 404)
  t.equal((await ask(port, '/', { method: 'PUT' })).status, 405)
  const long = await act(port, { scan: 'x'.repeat(20_000) }).catch(() => ({ status: 400 }))
  t.equal(long.status, 400, 'too long')
  for (const path of [
    '/../server.ts',
    '/%2e%2e/server.ts',
    '/..%2fserver.ts',
    '/main.ts',
    '/../../../../package.json',
  ]) {
    t.equal((await ask(port, path)).status, 404, path)
  }
  t.equal((await ask(port, '//')).status, 404)
  t.equal((await ask(port, 'http://evil.example/')).status, 404)
  t.equal((await ask(port, '/api/state')).status, 200, 'and it still answers')
  t.equal(handheld.inserted(), undefined)
})

t.test('a watcher hears catalogue, state, screen, then what changes, and paper in order', async (t) => {
  const { port, handheld } = await served(t)
  const { heard, until } = follow(t, port)
  await until(() => heard.length >= 3)
  t.same(
    heard.slice(0, 3).map(({ event }) => event),
    ['catalogue', 'state', 'screen'],
  )
  t.same(heard[0]!.data['cutMoments'], CUT_MOMENTS)
  const { width, height, pixels } = heard[2]!.data as { width: number; height: number; pixels: string }
  const bytes = inflateRawSync(Buffer.from(pixels, 'base64'))
  t.equal(bytes.length, width * height * 2)
  t.same(
    (heard[1]!.data['cards'] as { id: string }[]).map(({ id }) => id),
    ['credit-pin', 'low-value', 'stolen', 'mute'],
  )

  handheld.machine.receive(new TextEncoder().encode('Hello\n'))
  await until(() => heard.some(({ event }) => event === 'paper'))
  const sent = heard
    .filter(({ event }) => event === 'paper')
    .map(({ data }) => inflateRawSync(Buffer.from(data['rows'] as string, 'base64')))
  t.same(Buffer.concat(sent), Buffer.from(concat(...handheld.machine.paper())))
  const later = follow(t, port)
  await later.until(() => later.heard.some(({ event }) => event === 'paper'))
  t.equal(later.heard.findIndex(({ event }) => event === 'paper') > 2, true, 'who comes later sees it too')

  await act(port, { tear: true })
  await until(() => heard.some(({ event }) => event === 'tear'))
  t.equal(handheld.machine.paper().length, 0)
  await act(port, { network: 'off' })
  await until(() => heard.at(-1)?.data['network'] === false)
})

t.test('at most sixteen watch at once', async (t) => {
  const { port } = await served(t)
  const watchers = Array.from({ length: 16 }, () => follow(t, port))
  for (const { heard, until } of watchers) await until(() => heard.length > 0)
  t.equal((await ask(port, '/api/events')).status, 503)
})

t.test('hands reach the hardware: card, network, faults, power', async (t) => {
  const { handheld, powers } = await served(t)
  await handheld.act({ insert: 'credit-pin' })
  await handheld.act({ insert: 'low-value' })
  t.equal(handheld.inserted(), 'low-value', 'the first card was pulled')
  await handheld.act({ pull: true })
  t.equal(handheld.inserted(), undefined)
  t.equal(handheld.hardware.chip.card(), undefined)
  await handheld.act({ fault: { name: 'printer', args: { fault: 'paperOut' } } })
  await handheld.act({ fault: { name: 'printer', args: { fault: 'coverOpen' } } })
  t.same([...handheld.machine.faults()].sort(), ['coverOpen', 'paperOut'])
  await handheld.act({ fault: { name: 'printer', args: { fault: 'none' } } })
  t.same([...handheld.machine.faults()], [])
  await handheld.act({ fault: { name: 'detach', args: { device: 'scanner' } } })
  t.equal(handheld.hardware.attached('scanner'), false)
  await handheld.act({ power: { cutAt: 'verify' } })
  t.equal(handheld.cutArmed(), 'verify')
  await handheld.act({ power: 'cut' })
  t.equal(handheld.powered(), false)
  await handheld.act({ power: 'on' })
  t.equal(handheld.powered(), true)
  t.same(powers, ['cut', 'on'])
})

t.test('screens are kept as they read, and darkness leaves none of the light on', async (t) => {
  const { handheld, port } = await served(t)
  const display = handheld.hardware.bus('secure').port('display')
  const draw = async (...alt: string[]) => {
    const pixels = Buffer.alloc(0).toString('base64')
    await display.call('draw', { base: -1, x: 0, y: 0, width: 0, height: 0, pixels, alt })
  }
  await draw('One')
  await draw('One')
  await draw('Two', '•••')
  t.same(
    handheld.screens(0).map(({ lines }) => lines),
    [['One'], ['Two', '•••']],
    'what reads the same is one screen',
  )
  const first = handheld.screens(0)[0]!.sequence
  const answer = await ask(port, `/api/screens?after=${first}`)
  t.same((JSON.parse(answer.text) as { lines: string[] }[])[0]!.lines, ['Two', '•••'])
  for (let i = 0; i < 450; i++) await draw(`Screen ${i}`)
  t.equal(handheld.screens(0).length, 400, 'and no more than 400')
  handheld.setPowered(false)
  t.same(handheld.hardware.display.alt(), [])
  t.ok(handheld.hardware.display.frame().pixels.every((pixel) => pixel === 0))
})

t.test('words on the paper', async (t) => {
  const text = createPaperText()
  const bytes = (...parts: (string | number[])[]) =>
    concat(
      ...parts.map((part) =>
        typeof part === 'string' ? new TextEncoder().encode(part) : Uint8Array.from(part),
      ),
    )
  const stream = bytes(
    [0x1b, 0x40],
    'Total\n',
    '   \n',
    [0x1b, 0x74, 16],
    [0x80],
    ' 12\n',
    [0x1d, 0x76, 0x30, 0, 1, 0, 2, 0, 0xff, 0xff],
    'after',
    [0x1b, 0x64, 2],
    'not yet ended',
  )
  for (const byte of stream) text.receive(Uint8Array.of(byte))
  t.same(text.lines(), ['Total', '€ 12', '[image]', 'after', 'not yet ended'], 'byte by byte')
  const whole = createPaperText()
  whole.receive(stream)
  t.same(whole.lines(), text.lines(), 'or at once')
  for (let i = 0; i < 5100; i++) whole.receive(bytes(`line ${i}\n`))
  t.equal(whole.lines().length, 5000, 'and no more than 5,000 lines')
})

t.test('the battery is pulled at the moment that was chosen, once', async (t) => {
  const INS = { getProcessingOptions: 0xa8, verify: 0x20, firstGenerateAc: 0xae, secondGenerateAc: 0xae }
  for (const moment of ['getProcessingOptions', 'verify', 'firstGenerateAc', 'secondGenerateAc'] as const) {
    let cuts = 0
    const card = plainCard()
    const power = createPowerCut(() => cuts++)
    const watched = power.watch(card)
    power.arm(moment)
    watched.powerOn()
    let lost: number[] = []
    for (const ins of [0xa4, 0xa8, 0xb2, 0x20, 0xae, 0xae]) {
      const answer = await watched.transmit(command(ins))
      if (answer === undefined) lost = [...lost, ins]
    }
    t.same(lost, [INS[moment]], `${moment}: one command has no answer`)
    t.equal(cuts, 1)
    t.equal(power.armed(), undefined)
    t.equal(card.seen.length, 5, 'the card never saw it')
  }
  let cuts = 0
  const card = plainCard()
  const power = createPowerCut(() => cuts++)
  const watched = power.watch(card)
  power.arm('afterSecondGenerateAc')
  watched.powerOn()
  t.same(await watched.transmit(command(0xae)), OK)
  watched.powerOn()
  t.same(await watched.transmit(command(0xae)), OK, 'power-on counts anew')
  t.equal(await watched.transmit(command(0xae)), undefined)
  t.same([cuts, card.seen.length], [1, 3], 'the card has answered; nobody heard it')
})

t.test('cards are sorted: everyday, trouble, hostile', async (t) => {
  t.equal(groupOf('credit-pin'), 'everyday')
  t.equal(groupOf('hostile-endless'), 'hostile')
  t.equal(groupOf('mute'), 'hostile')
  t.equal(groupOf('one-nobody-has-sorted'), 'trouble')
  t.same(
    sorted([{ id: 'mute' }, { id: 'b' }, { id: 'cda' }, { id: 'a' }, { id: 'credit-pin' }]).map(
      ({ id }) => id,
    ),
    ['credit-pin', 'cda', 'b', 'a', 'mute'],
  )
})

t.test('the page asks nobody else for anything', async (t) => {
  const { port } = await served(t)
  const index = (await ask(port, '/')).text
  const files = [...index.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]!)
  t.ok(files.length >= 4)
  for (const file of files) t.equal((await ask(port, `/${file}`)).status, 200, file)
  const all = [index, ...(await Promise.all(files.map(async (file) => (await ask(port, `/${file}`)).text)))]
  for (const text of all)
    t.notMatch(text.replaceAll('http://www.w3.org/2000/svg', ''), /https?:\/\/|url\(|@import/)
})

t.test('a card is swiped: well, too fast, half way; a board without a stripe slot says so', async (t) => {
  const { handheld, port } = await served(t)
  t.equal((await act(port, { insert: 'credit-pin' })).status, 200)
  t.equal((await act(port, { swipe: 'credit-pin', how: 'bad' })).status, 200)
  t.equal(handheld.inserted(), undefined, 'a card is not in two places')
  t.equal((await act(port, { swipe: 'credit-pin' })).status, 200)
  t.equal((await act(port, { swipe: 'credit-pin', how: 'upside down' })).status, 400)
  t.match(await ask(port, '/api/state'), { text: /"stripe":true/ })
  const whole = { track1: writeTrack(1, 'B99^A/B^3512201'), track2: writeTrack(2, '99=3512201') }
  const read = (how: SwipeManner) => {
    const { track1, track2 } = swiped(whole, how)
    return [readTrack(1, ascii.encode(track1)), readTrack(2, ascii.encode(track2))]
  }
  t.same(read('clean'), [ascii.encode('B99^A/B^3512201'), ascii.encode('99=3512201')])
  t.same(read('bad'), ['bad', 'bad'])
  t.same(read('partial'), ['bad', 'bad'])
  const without = createHandheld({ cards: smallDeck(), onPower: () => undefined, stripe: false })
  t.teardown(() => without.close())
  await t.rejects(without.act({ swipe: 'credit-pin' }), { code: 'NO_STRIPE_SLOT' })
})
