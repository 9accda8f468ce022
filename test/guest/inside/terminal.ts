// A whole terminal in the guest: keys typed through gpio-sim pay a parcel, then the shipped units run its worlds under
// systemd, as their own users, and the watchdog starts a stopped one again.
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { systemClock } from '../../../hal/base/clock.js'
import { packageRoot } from '../../../hal/base/package-root.js'
import { readBoard } from '../../../hal/boards.js'
import { globalLineNumber } from '../../../hal/drivers/gpio/sysfs-chips.js'
import type { Key } from '../../../hal/keypad.js'
import { play, type Stage } from '../../../scripts/dev/scenarios/player.js'
import { readScenario } from '../../../scripts/dev/scenarios/scenario.js'
import { createStage } from '../../../scripts/dev/scenarios/stage.js'
import { type DevTerminal, startTerminal } from '../../../scripts/dev/supervisor/terminal.js'
import { eventually } from '../../hal/conformance/support.js'
import { simulatedChip } from './gpio-sim.js'
import { keySwitches, type Matrix, matrixOptions } from './keypads.js'

const DATA = '/var/lib/postern'
const BOARD = '/var/lib/guest-board.json'
/** An emulated processor is slow. */
const SLOW_MS = 900_000

/** The virtual handheld with its keys on GPIO lines; returns their wiring. */
function writeBoard(): Matrix {
  const board = readBoard('virtual-handheld') as {
    devices: Record<string, { driver: string; options: Record<string, unknown> }>
  }
  const keypad = board.devices['keypad']!
  const keys = keypad.options['matrix'] as Matrix
  board.devices['keypad'] = {
    ...keypad,
    driver: 'gpio-matrix',
    options: matrixOptions('pos', keys),
  }
  writeFileSync(BOARD, JSON.stringify(board))
  return keys
}

/** Hands that press the switches of the matrix, not a button of the page. */
function typingStage(stage: Stage, contact: (key: Key, closed: boolean) => void): Stage {
  return {
    ...stage,
    async press(key) {
      contact(key as Key, true)
      await systemClock.sleep(120)
      contact(key as Key, false)
      await systemClock.sleep(120)
    },
  }
}

export async function terminal(t: Test): Promise<void> {
  mkdirSync(DATA, { recursive: true })
  const keys = writeBoard()
  const chip = simulatedChip('pos', 16)
  // In development no udev rule gives the worlds' users their lines.
  const first = globalLineNumber({ chip: 'pos', offset: 0 })
  for (const name of ['export', 'unexport']) chmodSync(`/sys/class/gpio/${name}`, 0o222)
  for (let line = first; line < first + 16; line++) {
    writeFileSync('/sys/class/gpio/export', String(line))
    for (const name of ['direction', 'edge', 'value']) chmodSync(`/sys/class/gpio/gpio${line}/${name}`, 0o666)
  }
  const switches = keySwitches(chip, keys)
  t.teardown(switches.end)
  const running = await startTerminal({
    dataDir: join(DATA, 'terminal'),
    board: BOARD,
    port: 0,
    hostMs: 45_000,
    logLevel: 'info',
    tell: (line) => t.comment(line),
  })
  try {
    const stage = typingStage(createStage(running), switches.contact)
    await t.test('keys typed through gpio-sim pay a parcel', async (t) => {
      t.same(running.isolation.missing, [], 'worlds of their own users and networks')
      const result = await play(readScenario('courier-card'), stage, systemClock, (line) => t.comment(line))
      t.ok(result.passed, result.failure ?? 'played to its end')
      const verdict = await stage.verdict()
      t.ok(verdict.agrees, verdict.words)
    })
    await t.test('the shipped units under systemd', (t) => units(t, running, first))
  } finally {
    await running.stop()
  }
}

const systemctl = (...words: string[]) => execFileSync('systemctl', words, { encoding: 'utf8' })
const property = (unit: string, name: string) => systemctl('show', '-p', name, '--value', unit).trim()

async function units(t: Test, running: DevTerminal, first: number): Promise<void> {
  await running.cutPower()
  const from = join(packageRoot, 'systemd')
  mkdirSync('/usr/lib/sysusers.d', { recursive: true })
  mkdirSync('/usr/lib/tmpfiles.d', { recursive: true })
  mkdirSync('/etc/udev/rules.d', { recursive: true })
  cpSync(join(from, 'postern.sysusers.conf'), '/usr/lib/sysusers.d/postern.conf')
  cpSync(join(from, 'postern.tmpfiles.conf'), '/usr/lib/tmpfiles.d/postern.conf')
  cpSync(join(from, '90-postern.rules'), '/etc/udev/rules.d/90-postern.rules')
  execFileSync('systemd-sysusers')
  execFileSync('systemd-tmpfiles', ['--create', 'postern.conf'])
  symlinkSync('/postern', '/usr/lib/postern')
  symlinkSync('/postern/bin/node', '/usr/bin/node')
  for (let line = first; line < first + 16; line++) writeFileSync('/sys/class/gpio/unexport', String(line))
  execFileSync('udevadm', ['control', '--reload'])
  execFileSync('udevadm', ['trigger', '--settle', '--action=change'])

  // The development terminal's documents and sockets, for the users of the units.
  const { layout } = running
  mkdirSync('/etc/postern', { recursive: true })
  for (const [world, folder] of [
    ['secure', layout.secure],
    ['open', layout.open],
  ] as const) {
    execFileSync('chown', ['-R', `postern-${world}:postern-${world}`, folder])
    const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Record<string, unknown>
    config['bridgeSocket'] = '/run/postern/bridge/socket'
    const file = `/etc/postern/${world}.json`
    writeFileSync(file, JSON.stringify(config), { mode: 0o644 })
    cpSync(join(from, `postern-${world}.service`), `/etc/systemd/system/postern-${world}.service`)
    const dropIn = `/etc/systemd/system/postern-${world}.service.d`
    mkdirSync(dropIn, { recursive: true })
    writeFileSync(join(dropIn, 'guest.conf'), `[Service]\nReadWritePaths=${DATA} ${layout.run}\n`)
  }
  systemctl('daemon-reload')
  systemctl('start', '--no-block', 'postern-secure', 'postern-open')
  const active = (unit: string) => property(unit, 'ActiveState') === 'active'
  const bothActive = () => active('postern-secure') && active('postern-open')
  await eventually('both worlds say that they are ready', bothActive, SLOW_MS).catch((error: unknown) => {
    t.comment(
      spawnSync('journalctl', ['-u', 'postern-*', '-n', '60', '--no-pager'], { encoding: 'utf8' }).stdout,
    )
    throw error
  })
  t.equal(property('postern-secure', 'User'), 'postern-secure')
  t.equal(property('postern-secure', 'NRestarts'), '0')

  for (const world of ['secure', 'open'] as const) {
    const unit = `postern-${world}`
    const before = Number(property(unit, 'MainPID'))
    const owner = execFileSync('stat', ['-c', '%U', `/proc/${before}`], { encoding: 'utf8' }).trim()
    t.equal(owner, unit, 'runs as its own user')
    process.kill(before, 'SIGSTOP')
    const again = () => Number(property(unit, 'NRestarts')) === 1 && active(unit)
    await eventually(`systemd starts the stopped ${world} world again`, again, SLOW_MS)
    t.not(Number(property(unit, 'MainPID')), before)
    t.match(
      spawnSync('journalctl', ['-u', unit, '--no-pager'], { encoding: 'utf8' }).stdout,
      /Watchdog timeout/,
      'it was the watchdog',
    )
  }
  systemctl('stop', 'postern-open', 'postern-secure')
  t.equal(property('postern-secure', 'Result'), 'success', 'stopped as it ought to')
}
