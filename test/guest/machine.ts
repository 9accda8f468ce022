// The guest as a process: an emulated PC whose clock counts instructions, so that how busy this machine is changes nothing
// that it measures, and waiting costs it nothing.
import { spawn } from 'node:child_process'
import { createReadStream, existsSync, realpathSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../hal/base/package-root.js'
import { runCommand } from '../../scripts/check/run-command.js'
import type { GuestImage } from './image.js'

/** Of the tree: what runs, its data, and the packages that it runs with. */
const TREE = ['dist', 'hal', 'runtime', 'apps', 'scripts', 'systemd', 'test', 'node_modules', 'package.json']
/** Tools of development; the guest starts none of them. */
const LEFT_OUT = [
  'typescript',
  '@typescript',
  '@biomejs',
  'knip',
  'dependency-cruiser',
  'playwright-core',
  'caniuse-lite',
  '.cache',
]

/** Packs the tree under test, with the Node that runs now and the guest's own helper, into a squashfs. */
export async function packTree(folder: string): Promise<string> {
  const file = join(folder, 'tree')
  const switches = join(folder, 'key-switches')
  const source = join(packageRoot, 'test', 'guest', 'inside', 'key-switches.c')
  const compiled = await runCommand('cc', ['-O2', '-static', '-Wall', '-o', switches, source])
  if (compiled.code !== 0) throw new Error(`cc: ${compiled.output.slice(-2000)}`)

  // A worktree may share another's node_modules.
  const sources = TREE.map((name) => join(packageRoot, name))
    .filter(existsSync)
    .map((path) => realpathSync(path))
  const modules = realpathSync(join(packageRoot, 'node_modules'))
  const left = LEFT_OUT.map((name) => join(modules, name)).filter(existsSync)
  const args = [
    ...sources,
    file,
    '-comp',
    'lz4',
    '-noappend',
    '-no-progress',
    '-quiet',
    '-all-root',
    '-p',
    'bin d 755 0 0',
    '-p',
    `bin/node f 755 0 0 cat '${process.execPath}'`,
    '-p',
    `bin/key-switches f 755 0 0 cat '${switches}'`,
    '-e',
    ...left,
  ]
  const done = await runCommand('mksquashfs', args, { timeoutMs: 300_000 })
  if (done.code !== 0) throw new Error(`mksquashfs: ${done.output.slice(-2000)}`)
  return file
}

/**
 * Boots the guest and resolves when it powered off or `boundMs` passed (`false`). It runs `suites`, all where none is named. What it writes to its second serial
 * port goes to `said` line by line; its console is kept in `folder`.
 */
export async function bootGuest(
  image: GuestImage,
  tree: string,
  folder: string,
  suites: readonly string[],
  boundMs: number,
  said: (line: string) => void,
): Promise<boolean> {
  const result = join(folder, 'result')
  writeFileSync(result, '')
  const disk = (path: string) => `file=${path},if=virtio,format=raw,readonly=on`
  const only = suites.length === 0 ? '' : ` postern.suites=${suites.join(',')}`
  const child = spawn(
    'qemu-system-x86_64',
    [
      ...['-machine', 'q35', '-accel', 'tcg,thread=single', '-smp', '1', '-m', '3072'],
      // One instruction is a nanosecond; an idle guest skips to its next timer.
      ...['-icount', 'shift=0,align=off,sleep=off'],
      ...['-nodefaults', '-nographic', '-no-reboot'],
      ...['-kernel', image.kernel, '-initrd', image.initrd],
      ...['-append', `console=ttyS0 mitigations=off quiet${only}`],
      ...['-drive', disk(image.root), '-drive', disk(tree)],
      ...['-serial', `file:${join(folder, 'console')}`, '-serial', `file:${result}`],
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  )
  let over = false
  const bound = setTimeout(() => {
    over = true
    child.kill('SIGKILL')
  }, boundMs)
  const tail = followFile(result, said)
  await new Promise<void>((resolve) => child.once('close', () => resolve()))
  clearTimeout(bound)
  await tail.end()
  return !over
}

/** Tells each whole line that is written to a file. */
function followFile(path: string, said: (line: string) => void): { end(): Promise<void> } {
  let from = 0
  let rest = ''
  let turn = Promise.resolve()
  const look = () => {
    turn = turn.then(async () => {
      if (statSync(path).size <= from) return
      for await (const chunk of createReadStream(path, { start: from, encoding: 'utf8' })) {
        from += Buffer.byteLength(chunk as string)
        rest += chunk
      }
      const lines = rest.split(/\r?\n/)
      rest = lines.pop()!
      for (const line of lines) said(line)
    })
    return turn
  }
  const timer = setInterval(look, 500)
  return {
    async end() {
      clearInterval(timer)
      await look()
      if (rest !== '') said(rest)
    },
  }
}
