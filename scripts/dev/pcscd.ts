// A private PC/SC stack: pcscd and vsmartcard's virtual readers in namespaces of their own, reached by unix sockets only.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { PosternError } from '../../hal/base/errors.js'

/** Names of vpcd's two slots, as PC/SC tells them. */
export const VPCD_READERS = ['Virtual PCD 00 00', 'Virtual PCD 00 01'] as const
const VPCD_PORTS = [35963, 35964] as const
const DRIVERS = ['/etc/reader.conf.d/vpcd']
const START_MS = 30_000
const STOP_MS = 10_000

/**
 * Runs inside the namespaces. Loopback acknowledges at once on both of its routes: Nagle and delayed acknowledgements
 * would cost 44 ms an APDU. /run is private; its pcscd folder is ours ($1), so that the daemon's socket is seen from outside.
 * The relays carry vpcd's slots out as unix sockets.
 */
const INSIDE = `
set -e
ip link set lo up
for route in 127.0.0.0/8 127.0.0.1; do
  ip route change local $route dev lo table local proto kernel scope host src 127.0.0.1 quickack 1 || true
done
mount -t tmpfs tmpfs /run
mkdir /run/pcscd
mount --bind "$1" /run/pcscd
for slot in 0 1; do
  port=$((35963 + slot))
  socat "UNIX-LISTEN:$1/slot$slot.sock,fork,mode=666" "TCP:127.0.0.1:$port,nodelay" 2>/dev/null &
done
echo ready
# The daemon is started and stopped by name of a line, so that a test can pull the whole reader.
while read -r word; do
  case $word in
    start) pcscd --foreground --critical </dev/null >&2 & daemon=$! ; echo started $daemon ;;
    stop) kill -9 $daemon 2>/dev/null || true; wait $daemon 2>/dev/null || true; echo stopped ;;
  esac
done
kill $(jobs -p) 2>/dev/null || true
`

export interface PcscStack {
  /** Value for PCSCLITE_CSOCK_NAME: libpcsclite finds the daemon there, whatever the client's namespaces. */
  readonly daemonSocket: string
  /** Where a virtual card connects (see scripts/dev/issuer/vpcd-card.ts), by slot. */
  readonly slotSockets: readonly [string, string]
  /** Kills the daemon: to its clients, every reader and the service are gone. */
  stopDaemon(): Promise<void>
  startDaemon(): Promise<void>
  stop(): Promise<void>
}

function installed(command: string): boolean {
  return (process.env['PATH'] ?? '')
    .concat(':/usr/sbin:/sbin')
    .split(':')
    .some((folder) => existsSync(join(folder, command)))
}

/** What is missing for a stack on this machine, in words; undefined where it can run. */
export function pcscStackMissing(): string | undefined {
  for (const [command, debian] of [
    ['pcscd', 'pcscd'],
    ['socat', 'socat'],
    ['unshare', 'util-linux'],
    ['ip', 'iproute2'],
  ] as const)
    if (!installed(command)) return `${command} is missing: apt-get install ${debian}`
  if (!DRIVERS.some((file) => existsSync(file)))
    return 'the virtual reader is missing: apt-get install vsmartcard-vpcd'
  try {
    execFileSync('unshare', [...namespaces(), 'true'], { stdio: 'ignore' })
  } catch {
    return 'private namespaces are not allowed here: run as root, or allow unprivileged user namespaces'
  }
  return undefined
}

const namespaces = (): string[] => [
  '--net',
  '--mount',
  ...(process.getuid?.() === 0 ? [] : ['--map-root-user']),
]

/**
 * Starts the stack; `folder` (made, at most 80 characters) holds its sockets and is emptied of them at stop.
 * @throws PosternError `PCSC_STACK` when it does not come up
 */
export async function startPcscd(folder: string): Promise<PcscStack> {
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  const daemonSocket = join(folder, 'pcscd.comm')
  const slotSockets = [join(folder, 'slot0.sock'), join(folder, 'slot1.sock')] as const
  for (const file of [daemonSocket, join(folder, 'pcscd.pid'), ...slotSockets]) rmSync(file, { force: true })
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`
  const child = spawn('unshare', [...namespaces(), '--kill-child', 'bash', '-c', INSIDE, 'pcscd', folder], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, PATH: path },
  })
  let complaints = ''
  child.stderr.on('data', (text) => {
    complaints = (complaints + text).slice(-2000)
  })
  const failure = (what: string, cause?: unknown) =>
    new PosternError('PCSC_STACK', `${what}: ${complaints.trim() || 'no reason given'}`, { folder }, cause)
  const said = lineReader(child)

  async function expect(word: string): Promise<void> {
    const line = await said(START_MS)
    if (line?.split(' ')[0] !== word) throw failure(`the namespaces did not say ${word} but ${line}`)
  }
  async function startDaemon(): Promise<void> {
    child.stdin.write('start\n')
    await expect('started')
    if (!(await answers(daemonSocket, START_MS))) throw failure('pcscd does not answer')
  }
  async function stop(): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = new Promise((resolve) => child.once('exit', resolve))
      child.stdin.write('stop\n')
      child.stdin.end()
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      await exited
      clearTimeout(timer)
    }
    // What outlives a killed shell holds the other ends of these; it must not hold this process.
    child.stdout.destroy()
    child.stderr.destroy()
    for (const file of [daemonSocket, join(folder, 'pcscd.pid'), ...slotSockets])
      rmSync(file, { force: true })
  }
  try {
    await expect('ready')
    await startDaemon()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    daemonSocket,
    slotSockets,
    startDaemon,
    async stopDaemon() {
      child.stdin.write('stop\n')
      await expect('stopped')
    },
    stop,
  }
}

/** Lines of a process, one at a time; undefined after the bound or its end. */
function lineReader(child: ChildProcess): (boundMs: number) => Promise<string | undefined> {
  const lines: string[] = []
  let waiting: (() => void) | undefined
  let rest = ''
  let ended = false
  child.stdout?.on('data', (text) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop()!
    lines.push(...parts)
    waiting?.()
  })
  child.once('exit', () => {
    ended = true
    waiting?.()
  })
  return async (boundMs) => {
    const until = Date.now() + boundMs
    while (lines.length === 0 && !ended && Date.now() < until) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 50)
        waiting = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    return lines.shift()
  }
}

async function answers(path: string, boundMs: number): Promise<boolean> {
  const until = Date.now() + boundMs
  while (Date.now() < until) {
    const ok = await new Promise<boolean>((resolve) => {
      const socket = connect(path)
      socket.once('connect', () => {
        socket.destroy()
        resolve(true)
      })
      socket.once('error', () => resolve(false))
    })
    if (ok) return true
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return false
}

/** `node dist/scripts/dev/pcscd.js FOLDER`: runs a stack until interrupted and prints what to set. */
if (process.argv[1]?.endsWith('/scripts/dev/pcscd.js')) {
  const missing = pcscStackMissing()
  if (missing !== undefined || process.argv[2] === undefined) {
    console.error(missing ?? 'usage: pcscd.js FOLDER')
    process.exit(2)
  }
  const stack = await startPcscd(process.argv[2])
  console.log(`PCSCLITE_CSOCK_NAME=${stack.daemonSocket}`)
  console.log(`cards connect to ${stack.slotSockets.join(' and ')} (${VPCD_PORTS.join(', ')} inside)`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stack.stop().then(() => process.exit(0)))
}
