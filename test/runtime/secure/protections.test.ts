// The self-test at start: every missing protection by its name, none on a terminal that is set up as its units say.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../../hal/base/package-root.js'
import { missingProtections } from '../../../runtime/secure/protections.js'

const SOUND: Readonly<Record<string, string>> = {
  '/proc/self/limits':
    'Limit Soft Hard Units\nMax core file size        0                    0                    bytes\n',
  '/proc/sys/kernel/core_pattern': 'core\n',
  '/proc/swaps': 'Filename\tType\tSize\tUsed\tPriority\n',
  '/proc/self/cgroup': '0::/system.slice/postern-secure.service\n',
  '/proc/self/status': 'Name:\tnode\nTracerPid:\t0\nNoNewPrivs:\t1\n',
  '/proc/self/net/dev': 'Inter-|\n face |\n    lo: 0 0\n',
}
const names = (
  changes: Readonly<Record<string, string>>,
  store: 'file' | 'secure-element' = 'secure-element',
) => missingProtections(store, (path) => ({ ...SOUND, ...changes })[path]).map(({ name }) => name)

t.test('each is found and named', async (t) => {
  t.same(names({}), [])
  t.same(names({}, 'file'), ['key-store'])
  const limits = SOUND['/proc/self/limits']!
  t.same(names({ '/proc/self/limits': limits.replace('0  ', 'unlimited  ') }), ['core-limit'])
  t.same(names({ '/proc/self/limits': '' }), ['unreadable'])
  t.same(names({ '/proc/sys/kernel/core_pattern': '|/usr/share/apport/apport %p' }), ['core-pattern'])
  t.same(names({ '/proc/sys/kernel/core_pattern': '|/usr/lib/systemd/systemd-coredump %P %c' }), [])
  const swaps = 'Filename Type Size Used Priority\n/dev/mmcblk0p3 partition 1 0 -2\n'
  t.same(names({ '/proc/swaps': swaps }), ['swap'])
  t.same(names({ '/proc/swaps': swaps.replace('mmcblk0p3', 'zram0') }), [], 'memory compressed in memory')
  const unit = '/sys/fs/cgroup/system.slice/postern-secure.service/memory.swap.max'
  t.same(names({ '/proc/swaps': swaps, [unit]: '0\n' }), [], 'MemorySwapMax=0 of the unit')
  t.same(names({ '/proc/swaps': swaps, [unit]: 'max\n' }), ['swap'])
  t.same(
    names({ '/proc/swaps': swaps, '/sys/fs/cgroup/system.slice/memory.swap.max': '0\n' }),
    [],
    'or above it',
  )
  t.same(names({ '/proc/self/status': 'TracerPid:\t12\nNoNewPrivs:\t0\n' }), ['tracing', 'privileges'])
  t.same(names({ '/proc/self/net/dev': ' \n \n lo: 0\n  eth0: 0\n' }), ['network'])
  for (const { message } of missingProtections('file', () => undefined)) t.ok(message.length > 20, message)
})

t.test('it reads this very machine', async (t) => {
  for (const { name, message } of missingProtections('file')) t.comment(`${name}: ${message}`)
  t.ok(missingProtections('file').some(({ name }) => name === 'key-store'))
})

t.test('the unit asks for what the self-test reads back', async (t) => {
  const unit = readFileSync(join(packageRoot, 'systemd/postern-secure.service'), 'utf8')
  for (const line of ['LimitCORE=0', 'MemorySwapMax=0', 'NoNewPrivileges=yes', 'PrivateNetwork=yes'])
    t.match(unit, new RegExp(`^${line}$`, 'm'))
})
