// `postern ceremony` at a real console: what custodians see, what is never shown, and every way a ceremony ends early.
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { fromHex, toHex, xor } from '../../../hal/base/bytes.js'
import { systemRandom } from '../../../hal/base/clock.js'
import { packageRoot } from '../../../hal/base/package-root.js'
import { openDocuments } from '../../../runtime/secure/documents.js'
import { openFileKeyStore } from '../../../runtime/secure/keys/file-key-store.js'
import { KeyPackage, openKeyPackage } from '../../../runtime/secure/keys/key-package.js'
import { readProtectionKey } from '../../../runtime/secure/keys/protection-key.js'
import { checkValue } from '../../../scripts/key-room/components.js'
import { deriveProtectionKey } from '../../../scripts/key-room/packages.js'

const POSTERN = join(packageRoot, 'dist/scripts/cli/postern.js')
const python = spawnSync('python3', ['-c', 'import pty'], { stdio: 'ignore' }).status === 0
const skip = python ? false : 'python3 with its pty module is missing: apt-get install python3'

const ENTER = '\r'
const INTERRUPT = '\u0003'
const CLEARED = '\u001b[H\u001b[2J\u001b[3J'
/** Components as custodians have them on their sheets. */
const ONE = '00112233445566778899AABBCCDDEEFF0F1E2D3C4B5A69788796A5B4C3D2E1F0'
const TWO = 'A1B2C3D4E5F60718293A4B5C6D7E8F90123456789ABCDEF0FEDCBA9876543210'
const MASTER = xor(fromHex(ONE), fromHex(TWO))
const BDK = ['11112222333344445555666677778888', '9999AAAABBBBCCCCDDDDEEEEFFFF0000'] as const
const value = (component: string) => checkValue('aes', fromHex(component))

interface Console {
  readonly screen: string
  readonly echoed: readonly boolean[]
  readonly status: number
}
type Step = readonly [wait: string, typed: string]

function sit(args: readonly string[], steps: readonly Step[]): Console {
  const command = [process.execPath, POSTERN, 'ceremony', ...args]
  const { stdout, stderr } = spawnSync('python3', [join(packageRoot, 'test/scripts/key-room/console.py')], {
    input: JSON.stringify({ command, steps, seconds: 120 }),
    encoding: 'utf8',
  })
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout) as Console
}

/** A custodian's part of entering one key. */
const enters = (key: string, number: 1 | 2, component: string): Step[] => [
  [`${key}: custodian ${number} is alone at the desk`, ENTER],
  [`Component ${number} of ${key}`, component + ENTER],
  [`Check value ${value(component)}. Is it the one on your sheet?`, `yes${ENTER}`],
]
const together = (key: string, whole: Uint8Array, answer: 'yes' | 'no'): Step[] => [
  ['Both custodians come to the desk', ENTER],
  [`${key}: check value ${checkValue('aes', whole)}. Is it the one on both sheets?`, answer + ENTER],
]

/** A terminal that stands still, and the key room's signer. */
function room(t: Test) {
  const folder = t.testdir()
  const secure = join(folder, 'secure')
  mkdirSync(secure, { mode: 0o700 })
  writeFileSync(join(secure, 'passphrase'), 'open sesame')
  const config = join(folder, 'secure.json')
  writeFileSync(
    config,
    JSON.stringify({
      profile: 'development',
      dataDir: secure,
      bridgeSocket: join(folder, 'bridge'),
      bridgeMode: 0o600,
      board: 'virtual-handheld',
      boardParams: { hardware: '-', module: '-', secureElement: join(secure, 'secure-element') },
      passphraseFile: join(secure, 'passphrase'),
      logLevel: 'error',
    }),
  )
  const pair = generateKeyPairSync('ed25519')
  writeFileSync(join(folder, 'signer.pem'), pair.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  writeFileSync(join(folder, 'document-root.pem'), pair.publicKey.export({ type: 'spki', format: 'pem' }))
  const protect = ['protect', '--terminal', 'PST00001', '--config', config]
  const stored = async () => {
    const passphrase = new Uint8Array(Buffer.from('open sesame'))
    const store = await openFileKeyStore({ folder: join(secure, 'keys'), passphrase, random: systemRandom })
    return readProtectionKey(store)
  }
  return { folder, protect, stored }
}

/** Neither whole nor in a piece that would help. */
function neverShown(t: Test, screen: string, ...secrets: readonly string[]): void {
  const shown = screen.replace(/\s/g, '').toUpperCase()
  for (const secret of secrets)
    for (let i = 0; i + 8 <= secret.length; i += 8)
      t.notOk(shown.includes(secret.slice(i, i + 8)), 'not shown')
}

t.test('a component is shown once to one person, and the screen is emptied', { skip }, (t) => {
  const { screen, status, echoed } = sit(
    ['component', '--bits', '256'],
    [
      ['One custodian, alone at the desk', ENTER],
      ['Written and compared: press Enter', ENTER],
    ],
  )
  t.equal(status, 0)
  t.same(echoed, [false, false])
  const [, component, said] = /\n\s+((?:[0-9A-F]{4} ?){16})\s+check value ([0-9A-F]{10})/.exec(screen)!
  t.equal(value(component!.replace(/ /g, '')), said)
  const after = screen.slice(screen.lastIndexOf(CLEARED))
  t.match(after, /Seal the sheet/)
  t.notOk(after.includes(component!.slice(0, 9)), 'nothing of it is left to scroll back to')
  t.end()
})

t.test(
  'two custodians give a terminal its protection key; mistakes are said and mended',
  { skip },
  async (t) => {
    const { protect, stored } = room(t)
    const spaced = TWO.toLowerCase().replace(/(.{4})(?=.)/g, '$1 ')
    const { screen, status, echoed } = sit(protect, [
      ['Master key: custodian 1 is alone', `${ENTER}`],
      ['Component 1 of Master key', `${ONE.slice(0, 20)}${ENTER}`],
      ['That was not taken: a component of this key has 64 hex digits', `${ONE.slice(0, 63)}0${ENTER}`],
      ['Is it the one on your sheet?', `no${ENTER}`],
      ['Then a digit was mistyped', `${ONE.slice(0, 10)}7\u007f${ONE.slice(10)}${ENTER}`],
      [`Check value ${value(ONE)}`, `perhaps${ENTER}`],
      [`Check value ${value(ONE)}`, `yes${ENTER}`],
      ['Master key: custodian 2 is alone', ENTER],
      // The `no` is typed before its question, and counts for nothing.
      ['Component 2 of Master key', `${spaced}${ENTER}no${ENTER}`],
      [`Check value ${value(TWO)}`, `yes${ENTER}`],
      ...together('Master key', MASTER, 'yes'),
    ])
    t.equal(status, 0, screen)
    t.same(
      echoed.filter((on) => on),
      [],
      'the console never echoes',
    )
    neverShown(t, screen, ONE, TWO, toHex(MASTER))
    t.ok(screen.includes('*'.repeat(64)), 'a star a digit')
    const kbpk = deriveProtectionKey(MASTER, 'PST00001')
    t.match(screen, new RegExp(`PST00001 holds its protection key, check value ${checkValue('aes', kbpk)}`))
    t.equal(toHex((await stored()).key), toHex(kbpk))
    const second = screen.indexOf('custodian 2 is alone')
    t.ok(
      screen.lastIndexOf(CLEARED, second) > screen.indexOf(`Check value ${value(ONE)}`),
      'emptied between the two',
    )
  },
)

t.test('packages come out for terminals, whichever custodian sits down first', { skip }, (t) => {
  const { folder } = room(t)
  const out = join(folder, 'packages')
  const bdk = xor(fromHex(BDK[0]), fromHex(BDK[1]))
  const { screen, status } = sit(
    [
      'package',
      'PST00001',
      '--bdk-id',
      '0A0B0C0D',
      '--signer',
      join(folder, 'signer.pem'),
      '--room',
      join(folder, 'room'),
      '--out',
      out,
    ],
    [
      // In the wrong order: each sees the check value of their own sheet, and the key is the same.
      ...enters('Master key', 1, TWO),
      ...enters('Master key', 2, ONE),
      ...together('Master key', MASTER, 'yes'),
      ...enters('Base derivation key', 1, BDK[0]),
      ...enters('Base derivation key', 2, BDK[1]),
      ...together('Base derivation key', bdk, 'yes'),
    ],
  )
  t.equal(status, 0, screen)
  neverShown(t, screen, ONE, TWO, ...BDK, toHex(bdk))
  const envelope = JSON.parse(readFileSync(join(out, 'PST00001-acquirer-1.json'), 'utf8'))
  const offer = openDocuments(folder).verify('keys', envelope, KeyPackage)
  const opened = openKeyPackage(
    { cipher: 'aes', key: deriveProtectionKey(MASTER, 'PST00001') },
    'PST00001',
    offer,
  )
  t.equal(toHex(opened.initial.ikid), '0A0B0C0D00000001')
  t.ok(screen.includes(`check value ${opened.checkValue}`), 'what the terminal will answer')
  t.end()
})

t.test('a ceremony that ends early says why, and nothing was loaded', { skip }, (t) => {
  const same: Step[] = [...enters('Master key', 1, ONE), ...enters('Master key', 2, ONE)]
  const other = TWO.replace('A1', 'A2')
  const rows: [string, Step[], RegExp][] = [
    [
      'Ctrl-C in the middle of a component',
      [
        ...enters('Master key', 1, ONE),
        ['Master key: custodian 2 is alone', ENTER],
        ['Component 2 of', `${TWO.slice(0, 9)}${INTERRUPT}`],
      ],
      /broken off: no key was loaded or given out/,
    ],
    [
      'a component that is of another key',
      [
        ...enters('Master key', 1, ONE),
        ...enters('Master key', 2, other),
        ...together('Master key', xor(fromHex(ONE), fromHex(other)), 'no'),
      ],
      /whole key is not the one on the sheets.*compare the sheets/s,
    ],
    [
      'three mistakes',
      [
        ['custodian 1 is alone', ENTER],
        ['Component 1 of', `12${ENTER}`],
        ['That was not taken', `xyz${ENTER}`],
        ['That was not taken: a component is hex digits', `${'0'.repeat(64)}${ENTER}`],
      ],
      /not entered in three tries.*Find out whose sheet is wrong/s,
    ],
    ['one sheet for both', same, /both custodians have the same component/],
  ]
  for (const [what, steps, message] of rows) {
    const { folder, protect } = room(t)
    const { screen, status, echoed } = sit(protect, steps)
    t.equal(status, 1, what)
    t.match(screen, message, what)
    t.notOk(echoed.includes(true), what)
    t.notOk(existsSync(join(folder, 'secure', 'keys', 'kbpk.sealed')), `${what}: nothing is stored`)
    neverShown(t, screen, ONE, TWO)
  }
  const piped = spawnSync(process.execPath, [POSTERN, 'ceremony', 'component'], {
    input: ENTER,
    encoding: 'utf8',
  })
  t.equal(piped.status, 2)
  t.match(piped.stderr, /typed by people, never piped in/)
  t.end()
})
