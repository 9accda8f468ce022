// The virtual handheld's page and control on loopback: static files, events out, actions in.
import { createReadStream, existsSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { extname, join, normalize, sep } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { isPosternError } from '../../../hal/base/errors.js'
import { packageRoot } from '../../../hal/base/package-root.js'
import { pngOfRows } from '../../../hal/base/png.js'
import { PRINTER_FAULTS } from '../../../hal/simulated/escpos-machine.js'
import { FAULTS } from '../../../hal/simulated/faults.js'
import { checker } from '../../../runtime/api/contract.js'
import { Action, CUT_MOMENTS, SWIPES } from './action.js'
import { sorted } from './card-groups.js'
import type { Handheld } from './handheld.js'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
}
const MAX_BODY = 16 * 1024
/** Pages and players that watch at once. */
const MAX_STREAMS = 16
/** A watcher that lets so many bytes wait is gone, as a page in a sleeping tab. */
const MAX_UNSENT = 8 * 1024 * 1024

/** Facts that the supervisor tells: what runs, what protections are missing, where the books are. */
export interface Surroundings {
  worlds: Readonly<Record<string, string>>
  missing: readonly string[]
  links: readonly { readonly label: string; readonly href: string }[]
  /** Codes to hold before the scanner: the parcels' waybills. */
  labels: readonly { readonly text: string; readonly label: string }[]
}

/** Everything but pixels and paper, as one JSON object. */
export function stateOf(handheld: Handheld, surroundings: Surroundings) {
  const { hardware, machine } = handheld
  return {
    powered: handheld.powered(),
    cutArmed: handheld.cutArmed() ?? null,
    screen: hardware.display.alt(),
    sequence: handheld.screens(0).at(-1)?.sequence ?? 0,
    display: hardware.display.capabilities,
    backlight: hardware.display.backlight(),
    lights: hardware.indicators.lights(),
    tone: hardware.indicators.sounding() ?? null,
    inserted: handheld.inserted() ?? null,
    stripe: handheld.stripe,
    cards: sorted(handheld.cards.cards),
    keys: hardware.keypad.keys,
    network: hardware.network.online(),
    power: hardware.power.reading(),
    scanner: { lit: hardware.scanner.lit() },
    printer: { faults: machine.faults(), dots: machine.dots },
    detached: DEVICES.filter((device) => !hardware.attached(device)),
    ...surroundings,
  }
}
const DEVICES = [
  'chip-card-reader',
  'keypad',
  'display',
  'indicators',
  'printer',
  'scanner',
  'power',
] as const

/** The choices that the page offers. */
export const catalogue = {
  faults: Object.fromEntries(Object.entries(FAULTS).map(([name, row]) => [name, row.says])),
  printerFaults: PRINTER_FAULTS,
  cutMoments: CUT_MOMENTS,
  swipes: SWIPES,
  devices: DEVICES,
}

async function body(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY) throw new SyntaxError('too long')
    chunks.push(chunk)
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'))
}

/** Serves on 127.0.0.1. Requests under another host name or from another origin are refused. */
export async function servePage(
  handheld: Handheld,
  surroundings: Surroundings,
  port: number,
): Promise<{ server: Server; port: number; changed(): void }> {
  const streams = new Set<ServerResponse>()
  const checkAction = checker(Action)
  let paperSent = 0
  let pending = false

  const send = (stream: ServerResponse, event: string, data: unknown) => {
    if (stream.writableLength > MAX_UNSENT) return void stream.destroy()
    stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
  }
  const screenEvent = () => {
    const frame = handheld.hardware.display.frame()
    const raw = Buffer.from(frame.pixels.buffer, frame.pixels.byteOffset, frame.pixels.byteLength)
    return {
      width: frame.width,
      height: frame.height,
      pixels: deflateRawSync(raw, { level: 1 }).toString('base64'),
    }
  }
  const packed = (rows: readonly Uint8Array[]) =>
    deflateRawSync(Buffer.concat(rows.map((row) => Buffer.from(row))), { level: 1 }).toString('base64')
  let revision = -1

  /** At most one flush a frame: changes in between coalesce. */
  const changed = () => {
    if (pending) return
    pending = true
    setTimeout(() => {
      pending = false
      if (handheld.hardware.display.revision() !== revision) {
        revision = handheld.hardware.display.revision()
        const event = screenEvent()
        for (const stream of streams) send(stream, 'screen', event)
      }
      const state = stateOf(handheld, surroundings)
      for (const stream of streams) send(stream, 'state', state)
    }, 8)
  }
  const unwatch = handheld.hardware.watch(changed)
  const unhear = handheld.machine.on((event) => {
    if (event.type === 'rows') {
      paperSent += event.rows.length
      for (const stream of streams)
        send(stream, 'paper', { count: event.rows.length, rows: packed(event.rows) })
    } else if (event.type === 'cut') for (const stream of streams) send(stream, 'cut', {})
  })

  const json = (response: ServerResponse, status: number, value: unknown) => {
    response.writeHead(status, { ...HEADERS, 'content-type': 'application/json' })
    response.end(JSON.stringify(value))
  }

  async function act(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.headers['content-type'] !== 'application/json')
      return json(response, 415, { error: 'send application/json' })
    let action: unknown
    try {
      action = await body(request)
    } catch {
      return json(response, 400, { error: 'not JSON, or over 16 KiB' })
    }
    const fault = checkAction(action)
    if (fault !== undefined) return json(response, 400, { error: `no such action: ${fault}` })
    try {
      await handheld.act(action as Action)
      if ('tear' in (action as Action)) for (const stream of streams) send(stream, 'tear', {})
      json(response, 200, {})
    } catch (error) {
      json(response, 400, { error: isPosternError(error) ? error.message : 'failed' })
    } finally {
      changed()
    }
  }

  function events(response: ServerResponse): void {
    if (streams.size >= MAX_STREAMS) return json(response, 503, { error: 'too many are watching' })
    response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream' })
    streams.add(response)
    response.on('close', () => streams.delete(response))
    send(response, 'catalogue', catalogue)
    send(response, 'state', stateOf(handheld, surroundings))
    send(response, 'screen', screenEvent())
    const paper = handheld.machine.paper()
    if (paper.length > 0) send(response, 'paper', { count: paper.length, rows: packed(paper) })
  }

  function file(path: string, response: ServerResponse): void {
    const folder = join(packageRoot, 'scripts', 'dev', 'handheld', 'page')
    const target = normalize(join(folder, path === '/' ? 'index.html' : path))
    const type = TYPES[extname(target)]
    if (!target.startsWith(folder + sep) || type === undefined || !existsSync(target))
      return json(response, 404, { error: 'no such page' })
    response.writeHead(200, { ...HEADERS, 'content-type': type })
    createReadStream(target).pipe(response)
  }

  const server = createServer((request, response) => {
    const address = `http://localhost${request.url ?? '/'}`
    if (!URL.canParse(address)) return json(response, 400, { error: 'no such address' })
    const url = new URL(address)
    const here = [`127.0.0.1:${actual()}`, `localhost:${actual()}`]
    if (!here.includes(request.headers.host ?? ''))
      return json(response, 403, { error: 'ask by 127.0.0.1 or localhost' })
    const origin = request.headers.origin
    if (origin !== undefined && !here.some((host) => origin === `http://${host}`))
      return json(response, 403, { error: 'another origin' })
    if (request.method === 'POST' && url.pathname === '/api/do') return void act(request, response)
    if (request.method !== 'GET') return json(response, 405, { error: 'GET, or POST /api/do' })
    if (url.pathname === '/api/events') return events(response)
    if (url.pathname === '/api/state') return json(response, 200, stateOf(handheld, surroundings))
    if (url.pathname === '/api/screens')
      return json(response, 200, handheld.screens(Number(url.searchParams.get('after') ?? 0)))
    if (url.pathname === '/api/paper')
      return json(response, 200, { rows: paperSent, lines: handheld.paperText.lines() })
    if (url.pathname === '/api/paper.png') {
      response.writeHead(200, { ...HEADERS, 'content-type': 'image/png' })
      return void response.end(pngOfRows(handheld.machine.paper(), handheld.machine.dots, 16))
    }
    file(url.pathname, response)
  })
  const actual = () => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  server.on('close', () => {
    unwatch()
    unhear()
  })
  return { server, port: actual(), changed }
}
