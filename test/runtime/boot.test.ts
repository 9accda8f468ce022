// Both worlds as processes on boards that are wrong in part or as a whole: what starts, what is said, and where; counters over a restart.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../hal/base/package-root.js'
import { parseBoard } from '../../hal/board.js'
import { SIMULATED_DRIVERS } from '../../hal/simulated/drivers.js'
import { createSimulatedHardware } from '../../hal/simulated/hardware.js'
import { hardwareOptionsOf } from '../../hal/simulated/hardware-of-board.js'
import { serveHardware } from '../../hal/simulated/serve-hardware.js'
import { personalise, prepareSurroundings } from '../../scripts/dev/factory/factory.js'
import { eventually, within } from '../hal/conformance/support.js'

t.setTimeout(300_000)
const PATIENCE_MS = 120_000
const folder = mkdtempSync(join(tmpdir(), 'boot-'))
const secureDir = join(folder, 'secure')
mkdirSync(secureDir, { mode: 0o700 })
const dev = join(folder, 'dev')
mkdirSync(dev)
const surroundings = prepareSurroundings(dev)
await personalise({ secureDir, dev, surroundings, acquirerPort: 9, hostMs: 1000 })

const usual = JSON.parse(
  readFileSync(join(packageRoot, 'hal', 'boards', 'virtual-handheld.json'), 'utf8'),
) as { name: string; devices: Record<string, { class: string; driver: string; options: object }> }
const params = { hardware: '-', secureElement: '-', module: '-', printerPort: '-', fiscalSigner: '-' }
const hardware = createSimulatedHardware(
  hardwareOptionsOf(parseBoard(usual, SIMULATED_DRIVERS, { params }).profile),
)
const sockets = { secure: join(folder, 'hw-secure'), open: join(folder, 'hw-open') }
const served = [
  await serveHardware(hardware, sockets.secure, 'secure'),
  await serveHardware(hardware, sockets.open, 'open'),
]
const children = new Set<ChildProcess>()
t.teardown(async () => {
  for (const child of children) child.kill('SIGKILL')
  for (const server of served) await server.close()
  await hardware.close()
  rmSync(folder, { recursive: true, force: true })
})

let boards = 0
/** A board with some devices changed; by its path. */
function boardWith(changes: Record<string, object>): string {
  const path = join(folder, `board-${boards++}.json`)
  writeFileSync(path, JSON.stringify({ ...usual, devices: { ...usual.devices, ...changes } }))
  return path
}

interface Process {
  /** Standard output's JSON lines. */
  lines(): Record<string, unknown>[]
  log(): string
  /** SIGTERM; resolves with the exit code. */
  end(): Promise<number | null>
}
function start(world: 'secure' | 'open', board: string): Process {
  const boardParams = {
    ...params,
    hardware: sockets[world],
    secureElement: join(secureDir, 'element'),
    fiscalSigner: join(secureDir, 'fiscal'),
  }
  const common = { bridgeSocket: join(folder, 'bridge'), board, boardParams, logLevel: 'info' }
  const config =
    world === 'secure'
      ? {
          ...common,
          profile: 'development',
          dataDir: secureDir,
          bridgeMode: 0o600,
          passphraseFile: join(secureDir, 'passphrase'),
        }
      : {
          ...common,
          terminalId: 'T1',
          dataDir: join(folder, 'open'),
          acquirerEndpoints: [],
          apps: [],
          hardwareSocket: sockets.open,
        }
  const file = join(folder, `${world}.json`)
  writeFileSync(file, JSON.stringify(config))
  const boot = join(packageRoot, 'dist', 'runtime', world, 'boot.js')
  const child = spawn(process.execPath, [boot, file], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  children.add(child)
  let [out, log] = ['', '']
  child.stdout.on('data', (bytes: Buffer) => {
    out += bytes
  })
  child.stderr.on('data', (bytes: Buffer) => {
    log += bytes
  })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve)).finally(() =>
    children.delete(child),
  )
  return {
    lines: () =>
      out
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    log: () => log + out,
    end() {
      child.kill('SIGTERM')
      return within(`end of ${world}`, ended, PATIENCE_MS)
    },
  }
}
const said = (process: Process, what: Record<string, unknown>) =>
  process.lines().some((line) => Object.entries(what).every(([key, value]) => line[key] === value))
const until = (what: string, look: () => boolean) => eventually(what, look, PATIENCE_MS)
const onScreen = () => hardware.display.alt().join('\n')
const kept = () => {
  const [, json = '{}'] = readFileSync(join(secureDir, 'statistics'), 'utf8').split('\n')
  return JSON.parse(json) as Record<string, Record<string, number>>
}

await t.test(
  'what is wrong is left out, named on the screen and in the log; the rest starts; counters go on',
  async (t) => {
    const board = boardWith({
      chip: { class: 'chip-card-reader', driver: 'pcssc', options: {} },
      indicators: { class: 'indicators', driver: 'simulated', options: { socket: 7 } },
      printer: { class: 'printer', driver: 'escpos-serial', options: { path: 'ttyS1' } },
      scanner: { class: 'scanner', driver: 'simulated', options: { socket: join(folder, 'nobody') } },
    })
    const secure = start('secure', board)
    await until('the secure world', () => said(secure, { ready: true }))
    t.match(secure.log(), /\/devices\/chip\/driver: \\"pcssc\\" has to be one of .*pcsc/)
    t.match(secure.log(), /\/devices\/indicators\/options\/socket: 7 has to be/)
    await until('the secure world on the screen', () => onScreen().includes('/devices/chip/driver "pcssc"'))
    t.match(onScreen(), /\/devices\/indicators\/options\/socket 7/)

    const open = start('open', board)
    await until('the open world', () => said(open, { ready: true }))
    t.match(open.log(), /\/devices\/printer\/options\/path: \\"ttyS1\\" has to be/)
    await until('the open world on the screen', () =>
      /\/devices\/printer\/options\/path "ttyS1"/.test(onScreen()),
    )
    t.match(
      onScreen(),
      /scanner: the virtual handheld is not running/,
      'a device that is not there is named too',
    )

    t.equal(await open.end(), 0)
    await until('the open world is away', () => !/ttyS1/.test(onScreen()))
    t.equal(await secure.end(), 0)
    const first = kept()
    t.ok(first['display']!['FrameCount']! > 0)
    t.ok(first['keypad'] !== undefined && first['display']!['HoursPoweredCount']! >= 0)

    const again = start('secure', board)
    await until('the secure world', () => said(again, { ready: true }))
    await until('a picture', () => onScreen().includes('pcssc'))
    t.equal(await again.end(), 0)
    const second = kept()
    for (const [device, counters] of Object.entries(first)) {
      for (const [name, count] of Object.entries(counters)) {
        const now = second[device]?.[name] ?? 0
        if (now < count) t.fail(`${device} ${name} fell from ${count} to ${now}`)
      }
    }
    t.ok(second['display']!['FrameCount']! > first['display']!['FrameCount']!, 'and goes on from there')
  },
)

await t.test('without a keypad: the display says why, and so does the log', async (t) => {
  const board = boardWith({
    keypad: { class: 'keypad', driver: 'gpio-matrix', options: { rows: 'all' } },
  })
  const secure = start('secure', board)
  await until('the word', () => said(secure, { ready: false }))
  t.match(secure.log(), /no keypad: \/devices\/keypad/)
  await until('the screen', () => onScreen().includes('no keypad: /devices/keypad'))
  t.match(onScreen(), /Out of order/)
  t.equal(await secure.end(), 0)
})

await t.test('a profile that is no JSON: both worlds say so, and neither dies of it', async (t) => {
  const board = join(folder, 'board.json')
  writeFileSync(board, '{ "name": ')
  const [secure, open] = [start('secure', board), start('open', board)]
  await until('the secure world', () => said(secure, { ready: false }))
  await until('the open world', () => said(open, { ready: true }))
  for (const { log } of [secure, open]) t.match(log(), /board\.json.*can't be used/)
  t.match(secure.log(), /no display and keypad/)
  t.same(await Promise.all([secure.end(), open.end()]), [0, 0])
})
