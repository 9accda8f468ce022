// What a service tells systemd: words through the real tool into a socket, a sign of life that stops with the event loop.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { serviceManager } from '../../../hal/base/service-manager.js'
import { eventually } from '../conformance/support.js'

const missing = ['systemd-notify', 'socat'].find((tool) => spawnSync('which', [tool]).status !== 0)

t.test(
  'ready, alive, stopping',
  { skip: missing === undefined ? false : `${missing} is not there` },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'notify-'))
    const socket = join(folder, 'socket')
    const listener: ChildProcess = spawn('socat', ['-u', `UNIX-RECV:${socket}`, '-'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.teardown(() => {
      listener.kill()
      rmSync(folder, { recursive: true, force: true })
    })
    let heard = ''
    listener.stdout?.on('data', (bytes: Buffer) => {
      heard += bytes
    })
    await eventually('the socket', () => existsSync(socket))
    const env: NodeJS.ProcessEnv = {
      PATH: process.env['PATH'],
      NOTIFY_SOCKET: socket,
      WATCHDOG_USEC: '300000',
    }
    const service = serviceManager(env)
    t.same(Object.keys(env), ['PATH'], 'no child speaks for us')
    service.ready()
    await eventually('ready', () => heard.includes('READY=1'))
    await eventually('signs of life', () => heard.split('WATCHDOG=1').length > 3)
    await eventually('stopping', () => {
      service.stopping()
      return heard.includes('STOPPING=1')
    })
  },
)

t.test('without a service manager nothing is said', (t) => {
  const service = serviceManager({ PATH: '/nowhere' })
  service.ready()
  service.stopping()
  t.pass('no tool is called')
  t.end()
})
