// PAN, PIN, PIN block and track 2 after a payment: in no dump of the open world or an app, no log, no file, no MQTT message.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import t from 'tap'
import { ascii, concat, fromHex, toHex } from '../../hal/base/bytes.js'
import { systemClock } from '../../hal/base/clock.js'
import { openSqlite } from '../../hal/base/sqlite.js'
import { openMqttSession } from '../../runtime/open/link/mqtt-session.js'
import type { OpenConfig } from '../../runtime/open/open-config.js'
import { prepareSurroundings } from '../../scripts/dev/factory/factory.js'
import { track2 } from '../../scripts/dev/issuer/application-data.js'
import { loadProfiles } from '../../scripts/dev/issuer/card-profile.js'
import { ensureIssuerKeys } from '../../scripts/dev/issuer/issuer-keys.js'
import { play } from '../../scripts/dev/scenarios/player.js'
import { readScenario, type Step } from '../../scripts/dev/scenarios/scenario.js'
import { createStage } from '../../scripts/dev/scenarios/stage.js'
import { startTerminal } from '../../scripts/dev/supervisor/terminal.js'
import { childrenOf, dump, dumpMissing, findPinBlock } from './memory-tools.js'
import { bytesNeedles, createSearch, digitsNeedles, type Found } from './needles.js'

const CARD = 'long-pin'
/** What stands for the outside: the cards themselves and who issued them. */
const OUTSIDE = ['dev/cards', 'dev/issuer', 'dev/issuer-books']

const folder = mkdtempSync(join(tmpdir(), 'postern-memory-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
t.setTimeout(300_000)
// Tells the runner too: dumps of a gigabyte and more, four times.
t.comment('timeout=300000')

t.test('the search finds what is planted, in each spelling', async (t) => {
  const digits = '730951846207'
  const search = createSearch([...digitsNeedles('PIN', digits), ...digitsNeedles('odd', '1234567890123')])
  const noise = Uint8Array.from({ length: 3000 }, (_, at) => (at * 7919 + (at >> 3)) & 0xff)
  const bcd = fromHex(digits)
  const plants: Readonly<Record<string, Uint8Array>> = {
    'PIN, ASCII': ascii.encode(digits),
    'PIN, UTF-16': Buffer.from(digits, 'utf16le'),
    // Big-endian.
    'PIN, UTF-1': Buffer.from(digits, 'utf16le').swap16(),
    'PIN, BCD': fromHex(`ff${digits}ff`),
    "PIN, BCD off the byte's edge": fromHex(`4${digits}f`),
    'PIN as ASCII, hex': ascii.encode(toHex(ascii.encode(digits))),
    'PIN as ASCII, base64': ascii.encode(Buffer.from(`x${digits}`).toString('base64')),
    'PIN as BCD, base64, ASCII': ascii.encode(Buffer.from(concat(fromHex('4cff'), bcd)).toString('base64')),
    'PIN as BCD, base64, UTF-16': Buffer.from(
      Buffer.from(concat(fromHex('4c'), bcd, fromHex('aa'))).toString('base64url'),
      'utf16le',
    ),
    'odd, BCD': fromHex('1234567890123f'),
    "odd, BCD off the byte's edge": fromHex('01234567890123'),
  }
  t.same(search.inBytes(noise), [], 'nothing in noise')
  for (const [name, plant] of Object.entries(plants)) {
    const found = search.inBytes(concat(noise, plant, noise)).map((find) => find.name)
    t.ok(
      found.some((spelled) => spelled.startsWith(name)),
      name,
      { found },
    )
  }
  t.same(search.inBytes(fromHex(`4${digits.replace(/^7/, '8')}f`)), [], 'half a byte counts')
  t.throws(() => digitsNeedles('short', '1234'), /too short/)
})

const missing = dumpMissing(folder)
if (missing !== undefined) t.test('memory after a PIN payment', { skip: missing }, () => Promise.resolve())
else
  t.test('memory after a PIN payment', async (t) => {
    const dataDir = join(folder, 'terminal')
    const dumps = join(folder, 'dumps')
    mkdirSync(dumps, { mode: 0o700 })
    const terminal = await startTerminal({
      dataDir,
      board: 'virtual-handheld',
      port: 0,
      hostMs: 120_000,
      // The most talkative: what is never said at any level is never said.
      logLevel: 'debug',
      tell: (line) => t.comment(line),
    })
    t.teardown(() => terminal.stop())
    const { dev, open } = terminal.layout
    const surroundings = prepareSurroundings(dev)

    // Every MQTT message, as the broker gives it to whoever may hear all.
    const traffic: Uint8Array[] = []
    const { mqtt } = JSON.parse(readFileSync(join(open, 'config.json'), 'utf8')) as Required<OpenConfig>
    const recorder = await openMqttSession(
      {
        endpoint: { host: mqtt.host, port: mqtt.port, ca: surroundings.ca, ...surroundings.service },
        clientId: 'delivery-service.recorder',
        sessionExpiryS: 0,
        subscriptions: ['#'],
        onMessage: (topic, payload) => traffic.push(concat(ascii.encode(`${topic} `), payload)),
      },
      AbortSignal.timeout(60_000),
    )
    t.teardown(() => recorder.drop('test over'))

    const stage = createStage(terminal)
    const steps = async (...list: Step[]) => {
      const result = await play(
        { title: 'memory', steps: list },
        { ...stage, verdict },
        systemClock,
        () => {},
      )
      if (!result.passed) throw new Error(result.failure)
    }
    const verdict = async () => ({ agrees: true, words: '' })

    const profile = loadProfiles().find(({ id }) => id === CARD)!
    const { pin } = profile
    const application = profile.applications[0]!
    const { pan } = application
    const track = toHex(track2(application, pin, ensureIssuerKeys(surroundings.issuerKeys))).replace(
      /F$/i,
      '',
    )
    const tail = track.slice(pan.length)
    t.equal(pin.length, 12)
    const secrets = [
      ...digitsNeedles('PIN', pin),
      ...digitsNeedles('PAN', pan),
      // What follows the PAN, so that it is found where the PAN was masked.
      ...digitsNeedles('track 2', tail.toUpperCase()),
      ...digitsNeedles('track 2 by =', tail.slice(1)),
    ]
    const search = createSearch(secrets)
    const names = (found: readonly Found[]) => [...new Set(found.map(({ name }) => name))].sort()

    // Up to the card as in the scenario of the main job.
    const { steps: usual } = readScenario('courier-card')
    await steps(
      ...usual.slice(
        0,
        usual.findIndex((step) => 'insert' in step),
      ),
    )
    await steps(
      { insert: CARD },
      { expect: { screen: ['Enter PIN', 'green key'] } },
      { key: pin },
      { expect: { screen: '•'.repeat(pin.length) } },
    )
    const during = await dump(terminal.pid('secure')!, join(dumps, 'during'))
    const sizes = [statSync(during).size]
    const known = names(search.inFile(during, 10_000))
    rmSync(during)
    t.comment(`secure world while the PIN is typed: ${known.join('; ')}`)
    for (const name of ['PIN, ASCII', 'PAN, BCD', 'track 2, BCD'])
      t.ok(known.includes(name), `found in the secure world while the PIN is typed: ${name}`)

    // With the acquirer held, the enciphered PIN block waits in the secure world to be sent.
    const acquirer = terminal.pid('acquirer')!
    process.kill(acquirer, 'SIGSTOP')
    let waiting: string
    try {
      await steps({ key: 'enter' }, { expect: { screen: 'Asking the bank' } })
      waiting = await dump(terminal.pid('secure')!, join(dumps, 'waiting'))
    } finally {
      process.kill(acquirer, 'SIGCONT')
    }
    await steps(
      { expect: { screen: ['Approved', 'Remove card'] } },
      { pull: true },
      {
        expect: {
          screen: "Print the courier's copy",
          paper: ['CUSTOMER COPY', 'Verified by PIN'],
        },
      },
      { key: 'enter' },
      { expect: { screen: 'Today 1 of 10', paper: 'COPY' } },
      {
        expect: {
          parcel: { waybill: 'PH-100001', status: 'delivered', paidMinor: '2450' },
        },
      },
    )

    const ledger = openSqlite(join(dev, 'ledger.db'), { readonly: true })
    const ksns = (ledger.prepare('SELECT ksn FROM ksn').all() as { ksn: string }[]).map(({ ksn }) =>
      fromHex(ksn),
    )
    ledger.close()
    const bdk = fromHex(surroundings.bdk)
    const pinBlock = findPinBlock(waiting, { bdk, ksns, pin, pan })
    t.ok(pinBlock, 'found in the secure world before it is sent: the enciphered PIN block')
    const still = names(search.inFile(waiting, 10_000)).filter((name) => name.startsWith('PIN'))
    t.same(still, [], 'the PIN is gone from the secure world once it is enciphered')
    const all = createSearch([
      ...secrets,
      ...(pinBlock === undefined ? [] : bytesNeedles('PIN block', pinBlock.block)),
    ])
    if (pinBlock !== undefined)
      t.ok(names(all.inFile(waiting, 10_000)).includes('PIN block, bytes'), 'the search finds that block')
    rmSync(waiting)

    const openPid = terminal.pid('open')!
    const apps = childrenOf(openPid)
    t.ok(apps.length > 0, 'an app is running')
    for (const [name, pid] of [
      ['the open world', openPid] as const,
      ...apps.map((app) => [`the app (${commandOf(app)})`, app] as const),
    ]) {
      const path = await dump(pid, join(dumps, 'after'))
      sizes.push(statSync(path).size)
      // So that nothing found means something: what has to be there is.
      const there = createSearch([{ name: 'waybill', bytes: ascii.encode('PH-100001') }]).inFile(path, 1)
      const found = all.inFile(path)
      rmSync(path)
      t.equal(there.length, 1, `the dump of ${name} is one: it holds the waybill`)
      t.same(found, [], `nothing in ${name}`)
    }
    t.comment(`dumps of ${sizes.map((size) => `${Math.round(size / 1e6)} MB`).join(', ')}`)

    const heard = Buffer.concat(traffic)
    t.match(heard.toString('latin1'), /evt\/payments.*2450/s, 'MQTT traffic was recorded')
    t.same(all.inBytes(heard), [], `nothing in ${traffic.length} MQTT messages`)

    const files = () =>
      readdirSync(dataDir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .filter((path) => !OUTSIDE.some((outside) => relative(dataDir, path).startsWith(`${outside}/`)))
    const inFiles = (when: string) => {
      const paths = files()
      const kept = paths.map((path) => relative(dataDir, path))
      for (const must of ['secure/journal.db', 'logs/secure.log', 'logs/open.log', 'dev/ledger.db'])
        t.ok(kept.includes(must), `${must} is searched`)
      const found = paths.flatMap((path) =>
        all.inFile(path).map((find) => ({ file: relative(dataDir, path), ...find })),
      )
      t.same(found, [], `nothing in ${paths.length} files ${when}`)
    }
    inFiles('while it runs')
    await recorder.end()
    await terminal.stop()
    inFiles('after it has stopped')

    function commandOf(pid: number): string {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').at(-2) ?? String(pid)
    }
  })
