// The self-test at start: every missing protection by its name, none on a terminal that is set up as its units say.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { PosternError } from '../../../hal/base/errors.js'
import { packageRoot } from '../../../hal/base/package-root.js'
import { checker } from '../../../runtime/api/contract.js'
import { type Screen, type ScreenResult, Screen as ScreenSchema } from '../../../runtime/api/screens.js'
import type { HostStanding, KeyChange } from '../../../runtime/secure/payments/network-management.js'
import { missingProtections, PROTECTIONS } from '../../../runtime/secure/protections.js'
import { createTerminalCheck } from '../../../runtime/secure/terminal-check.js'
import { loadTexts } from '../../../runtime/secure/texts.js'

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
  const reader = readFileSync(join(packageRoot, 'systemd/pcscd-service-postern.conf'), 'utf8')
  for (const line of ['LimitCORE=0', 'MemorySwapMax=0']) t.match(reader, new RegExp(`^${line}$`, 'm'))
  t.notMatch(reader, /--apdu|--debug/, 'no APDU log')
  const open = readFileSync(join(packageRoot, 'systemd/postern-open.service'), 'utf8')
  t.match(open, /^LimitCORE=0$/m)
})

/** Somebody at the terminal: what they press, screen by screen; what they saw. */
function person(presses: ((screen: Screen) => ScreenResult)[]) {
  const seen: Screen[] = []
  return {
    seen,
    ask: async (screen: Screen, signal: AbortSignal): Promise<ScreenResult> => {
      seen.push(screen)
      if (screen.kind === 'progress')
        return new Promise((resolve) =>
          signal.addEventListener('abort', () => resolve({ type: 'closed' }), { once: true }),
        )
      return presses.shift()?.(screen) ?? { type: 'back' }
    },
  }
}
const choose =
  (label: RegExp) =>
  (screen: Screen): ScreenResult => {
    const items = screen.kind === 'list' || screen.kind === 'details' ? screen.items : []
    return { type: 'selected', id: items.find((item) => label.test(item.label))!.id }
  }
const read = (): ScreenResult => ({ type: 'confirmed' })

const HOST: HostStanding = {
  acquirer: 'bank',
  terminalId: 'TERM0001',
  keySet: 'acquirer',
  keys: { scheme: 'tdes', ikid: 'FFFF9876543210E00000', used: 524_287, left: 524_288, proven: true },
  record: { acquirer: 'bank', sinceMs: 0, exchangedAtMs: 0, checkValue: 'A1B2C3', lastFailure: null },
  exchanges: true,
}

t.test(
  'on the screen each missing protection says what it means and what to do, in every language',
  async (t) => {
    const texts = loadTexts()
    for (const language of texts.languages)
      for (const name of PROTECTIONS) {
        const at = person([choose(/./), read])
        const check = createTerminalCheck({
          missing: [{ name, detail: 'DETAIL', message: '' }],
          hosts: async () => [],
          changeKeys: async () => ({ kind: 'failed', code: '-' }),
          authorise: async () => undefined,
          ask: at.ask,
          texts,
          language: () => language,
        })
        await check.review()
        const [list, message] = at.seen
        t.equal(checker(ScreenSchema)(list), undefined, name)
        t.equal(checker(ScreenSchema)(message), undefined, name)
        t.match(list, { items: [{ mark: 'attention' }] })
        t.match(
          message,
          { kind: 'message', tone: 'warning', text: /^[^{}]+\n[^{}]+$/ },
          `${language} ${name}`,
        )
      }
  },
)

t.test('keys of each acquirer: how far they are used, and a supervisor changes them', async (t) => {
  const failing: HostStanding = {
    ...HOST,
    acquirer: 'other',
    keys: undefined,
    record: { acquirer: 'other', sinceMs: 0, lastFailure: { what: 'signOn', code: 'RESPONSE_58', atMs: 0 } },
    exchanges: false,
  }
  const asked: string[] = []
  const results: KeyChange[] = [
    { kind: 'changed', checkValue: 'D4E5F6' },
    { kind: 'failed', code: 'TR31_REFUSED' },
  ]
  let supervisor: string | undefined
  const at = person([
    choose(/All protections/),
    read,
    choose(/Keys of other/),
    () => ({ type: 'back' }),
    choose(/Keys of bank/),
    choose(/Change the key/),
    (screen) => {
      t.match(screen, { kind: 'list' }, 'without a code nothing is changed')
      supervisor = '9001'
      return choose(/Keys of bank/)(screen)
    },
    choose(/Change the key/),
    read,
    choose(/Keys of bank/),
    choose(/Change the key/),
    read,
    choose(/Keys of bank/),
    choose(/Change the key/),
    read,
  ])
  const check = createTerminalCheck({
    missing: [],
    hosts: async () => [HOST, failing],
    changeKeys: async (acquirer) => {
      asked.push(acquirer)
      const result = results.shift()
      if (result === undefined) throw new PosternError('BUSY', 'a payment is under way')
      return result
    },
    authorise: async (reason) => {
      t.match(reason, /key of bank/)
      return supervisor
    },
    ask: at.ask,
    texts: loadTexts(),
    language: () => 'en',
  })
  await Promise.all([check.review(), check.review()])
  t.equal(at.seen.filter(({ kind }) => kind === 'progress').length, 3, 'one review at a time')
  t.same(asked, ['bank', 'bank', 'bank'])
  t.match(at.seen[0], {
    items: [
      { label: 'All protections are in place', mark: 'done' },
      { label: 'Keys of bank', detail: '49 % used, 524288 left', mark: 'done' },
      { label: 'Keys of other', detail: /no keys/, mark: 'attention' },
    ],
  })
  const messages = at.seen.flatMap((screen) => (screen.kind === 'message' ? [screen.text] : []))
  t.match(messages, [/network are shut off/, /Check value D4E5F6/, /TR31_REFUSED.*old key goes on/, /BUSY/])
  for (const screen of at.seen) t.equal(checker(ScreenSchema)(screen), undefined, screen.kind)
  const details = at.seen.find((screen) => screen.kind === 'details' && screen.title === 'other')
  t.match(details, { items: [], rows: [{}, {}, {}, {}, { value: /RESPONSE_58 1970/ }] })
})
