// A real secure world process with cards, fingers and an open world around it: its acquirers are documents, given by the test.
import { type ChildProcess, spawn } from 'node:child_process'
import {
  copyFileSync,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { fromHex } from '../../hal/base/bytes.js'
import { systemClock, systemRandom } from '../../hal/base/clock.js'
import { silentLog } from '../../hal/base/log.js'
import { CURRENCIES } from '../../hal/base/money.js'
import { packageRoot } from '../../hal/base/package-root.js'
import { parseBoard } from '../../hal/board.js'
import type { Key } from '../../hal/keypad.js'
import { SIMULATED_DRIVERS } from '../../hal/simulated/drivers.js'
import { hardwareOptionsOf } from '../../hal/simulated/hardware-of-board.js'
import { serveHardware } from '../../hal/simulated/serve-hardware.js'
import type { PaymentView } from '../../runtime/api/payments.js'
import { type Bridge, connectBridge } from '../../runtime/open/bridge/bridge-client.js'
import { carryGateway } from '../../runtime/open/bridge/gateway-carrier.js'
import { createPipes } from '../../runtime/open/bridge/pipes.js'
import { connectLocalGateway } from '../../runtime/open/gateway/local-gateway.js'
import { deriveInitialKey } from '../../runtime/secure/keys/aes-dukpt.js'
import { loadInitialKey } from '../../runtime/secure/keys/dukpt-terminal-keys.js'
import { openFileKeyStore } from '../../runtime/secure/keys/file-key-store.js'
import { deriveTdesInitialKey } from '../../runtime/secure/keys/tdes-dukpt.js'
import type { AcquirerEntry } from '../../runtime/secure/payments/acquirer-document.js'
import { openJournal } from '../../runtime/secure/payments/journal.js'
import { batchTotals, unresolvedOf } from '../../runtime/secure/payments/totals.js'
import type { SecureConfig } from '../../runtime/secure/secure-config.js'
import type { AcquirerConfig } from '../../scripts/dev/acquirer/config.js'
import type { Entry } from '../../scripts/dev/acquirer/ledger.js'
import { type RunningAcquirer, startAcquirer } from '../../scripts/dev/acquirer/start-acquirer.js'
import { developmentAuthority } from '../../scripts/dev/factory/certificates.js'
import {
  documentSigner,
  emvTables,
  MERCHANT,
  operators,
  randomHex,
} from '../../scripts/dev/factory/documents.js'
import { createHandheld } from '../../scripts/dev/handheld/handheld.js'
import { openDeck } from '../../scripts/dev/issuer/deck.js'
import { ensureIssuerKeys } from '../../scripts/dev/issuer/issuer-keys.js'

const BOARD = 'virtual-handheld'
/** Long, as CI machines are slow; nothing waits for it where all is well. */
const PATIENCE_MS = 120_000
export const OWNER = { app: 'courier', name: 'Courier' }

/** An acquirer that a test wants: its document but for what the harness knows, and its host's own side. */
export interface WantedAcquirer {
  readonly document: Pick<AcquirerEntry, 'id' | 'dialect' | 'terminalId'> & Partial<AcquirerEntry>
  readonly host?: Partial<AcquirerConfig>
  /** The host asks for our certificate. */
  readonly mutualTls?: true
}

interface RunningHost {
  readonly running: RunningAcquirer
  readonly entry: AcquirerEntry
  readonly ca: string
  readonly clientFiles: { readonly cert: string; readonly key: string } | undefined
}

async function startHost(dir: string, issuerKeys: string, wanted: WantedAcquirer): Promise<RunningHost> {
  const { id, terminalId } = wanted.document
  const folder = join(dir, 'hosts', id)
  const authority = developmentAuthority(folder)
  const server = authority.issue('server', id, 'server')
  const clientFiles = wanted.mutualTls ? authority.issue('client', 'terminal', 'client') : undefined
  const merchantId = wanted.document.merchantId ?? 'MERCHANT1'
  const running = await startAcquirer(
    {
      listen: { host: '127.0.0.1', port: 0 },
      query: { host: '127.0.0.1', port: 0 },
      tls: { ...server, ...(clientFiles === undefined ? {} : { clientCa: authority.ca }) },
      bdk: randomHex(16),
      issuerKeys,
      issuerBooks: join(folder, 'books'),
      ledger: join(folder, 'ledger.db'),
      terminals: [{ terminalId, merchantId }],
      dialect: wanted.document.dialect,
      ...(wanted.document.framing === undefined ? {} : { framing: wanted.document.framing }),
      ...wanted.host,
    },
    silentLog,
  )
  const entry: AcquirerEntry = {
    host: '127.0.0.1',
    port: running.port,
    tls: {
      serverName: 'localhost',
      ca: readFileSync(authority.ca, 'utf8'),
      ...(clientFiles === undefined ? {} : { clientCertificate: readFileSync(clientFiles.cert, 'utf8') }),
    },
    tpdu: { destination: 1, source: 2 },
    nii: '001',
    merchantId,
    currency: MERCHANT.currency,
    ...wanted.document,
  }
  return { running, entry, ca: authority.ca, clientFiles }
}

/** Base keys by acquirer: the host derives from them, the terminal gets what was derived. */
async function giveKeys(
  secureDir: string,
  wanted: readonly WantedAcquirer[],
  bases: ReadonlyMap<string, string>,
) {
  const passphrase = randomHex(32)
  writeFileSync(join(secureDir, 'passphrase'), passphrase, { mode: 0o600 })
  const store = await openFileKeyStore({
    folder: join(secureDir, 'keys'),
    passphrase: Buffer.from(passphrase, 'utf8'),
    random: systemRandom,
  })
  for (const { document } of wanted) {
    const base = fromHex(bases.get(document.id)!)
    const set = document.keys?.set ?? 'acquirer'
    if (document.keys?.scheme === 'tdes') {
      const ikid = Uint8Array.from([0xff, 0xff, ...systemRandom(5), 0, 0, 0])
      ikid[7] = 0
      await loadInitialKey(
        store,
        set,
        { scheme: 'tdes', ikid, key: deriveTdesInitialKey(base, ikid) },
        systemRandom,
      )
    } else {
      const ikid = systemRandom(8)
      await loadInitialKey(store, set, { ikid, key: deriveInitialKey(base, ikid) }, systemRandom)
    }
  }
  store.close()
}

async function asked<T>(port: number, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    ...(body === undefined
      ? {}
      : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(PATIENCE_MS),
  })
  return (await response.json()) as T
}

/** Waits for what others do, looking again and again. */
export async function eventually(what: string, done: () => boolean | Promise<boolean>): Promise<void> {
  const until = systemClock.monotonicMs() + PATIENCE_MS
  while (!(await done())) {
    if (systemClock.monotonicMs() > until) throw new Error(`waited in vain for ${what}`)
    await systemClock.sleep(100)
  }
}

export interface SecureTerminal {
  readonly dir: string
  readonly bridge: Bridge
  gatewayConnected(): boolean
  /** The network of the open world. */
  network(online: boolean): void
  /** A payment with a card of the deck, its PIN typed; resolves with what came of it. */
  pay(key: string, minor: bigint, card: string): Promise<PaymentView>
  /** Takes it back, a supervisor agreeing. */
  takeBack(key: string, original: string): Promise<PaymentView>
  signIn(): Promise<void>
  /** Pulls the battery of the secure world, and puts it in again. */
  cutPower(): Promise<void>
  powerOn(): Promise<void>
  entries(acquirer: string): Promise<readonly Entry[]>
  /** Waits until nothing is owed; then each ledger's own word on this terminal's totals. */
  verdicts(): Promise<Readonly<Record<string, string>>>
  /** What the journal holds of a payment. */
  record(key: string): Readonly<Record<string, unknown>> | undefined
}

/** PINs of the cards that these tests use, as their profiles have them. */
const pinOf = (deck: ReturnType<typeof openDeck>, card: string) =>
  deck.cards.find(({ id }) => id === card)!.pinHint.replace(/[^0-9]/g, '')

/** Starts acquirers, hardware, secure world and open world; everything ends with the test. */
export async function startSecureTerminal(
  t: Pick<Test, 'teardown' | 'comment'>,
  options: {
    /** The issuer's keys: made once for all terminals of a file. */
    readonly keysDir: string
    readonly acquirers: readonly WantedAcquirer[]
    readonly routing?: unknown
    /** Started once the hosts listen; its socket, where there is a gateway. */
    readonly gateway?: (
      dir: string,
      hosts: readonly { readonly id: string; readonly port: number; readonly ca: string }[],
    ) => Promise<string>
  },
): Promise<SecureTerminal> {
  const dir = mkdtempSync(join(tmpdir(), 'postern-st-'))
  const closers: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })]
  t.teardown(async () => {
    for (const close of closers.reverse()) await close()
  })
  const secureDir = join(dir, 'secure')
  mkdirSync(join(secureDir, 'acquirers'), { recursive: true, mode: 0o700 })
  const issuerKeys = options.keysDir
  const issuer = ensureIssuerKeys(issuerKeys)

  const bases = new Map(options.acquirers.map(({ document }) => [document.id, randomHex(16)]))
  const hosts = new Map<string, RunningHost>()
  for (const wanted of options.acquirers) {
    const base = bases.get(wanted.document.id)!
    const tdes = wanted.document.keys?.scheme === 'tdes'
    const started = await startHost(dir, issuerKeys, {
      ...wanted,
      host: { ...(tdes ? { tdesBdk: base } : { bdk: base }), ...wanted.host },
    })
    closers.push(() => started.running.close())
    hosts.set(wanted.document.id, started)
    if (started.clientFiles !== undefined)
      copyFileSync(started.clientFiles.key, join(secureDir, 'acquirers', `${wanted.document.id}.key`))
  }
  await giveKeys(secureDir, options.acquirers, bases)
  const signer = documentSigner(join(dir, 'signer'))
  writeFileSync(join(secureDir, 'document-root.pem'), signer.publicPem)
  const entries = [...hosts.values()].map(({ entry }) => entry)
  signer.write(secureDir, 'acquirers', 1, { acquirers: entries })
  if (options.routing !== undefined) signer.write(secureDir, 'routing', 1, options.routing)
  signer.write(secureDir, 'merchant', 1, MERCHANT)
  signer.write(secureDir, 'operators', 1, await operators())
  signer.write(secureDir, 'emv', 1, emvTables(issuer))

  // Hardware and hands.
  const hardwareSocket = join(dir, 'hardware')
  const board = JSON.parse(readFileSync(join(packageRoot, 'hal', 'boards', `${BOARD}.json`), 'utf8'))
  const boardParams = { hardware: hardwareSocket, secureElement: dir, module: '-', printerPort: '-' }
  const { profile } = parseBoard(board, SIMULATED_DRIVERS, { params: boardParams })
  const deck = openDeck({ keysDir: issuerKeys })
  const handheld = createHandheld({
    cards: deck,
    hardware: hardwareOptionsOf(profile),
    onPower: () => undefined,
  })
  closers.push(() => handheld.close())
  const served = await serveHardware(handheld.hardware, hardwareSocket, 'secure')
  closers.push(() => served.close())

  const person = { card: 'credit-pin', number: '1001', code: '1111', seen: 0, working: true }
  const type = async (keys: string) => {
    for (const key of keys) await handheld.act({ key: key as Key })
    await handheld.act({ key: 'enter' })
  }
  async function look(): Promise<void> {
    const screen = handheld.screens(0).at(-1)
    if (screen === undefined || screen.sequence === person.seen) return
    person.seen = screen.sequence
    const text = screen.lines.join('\n')
    if (/perator number/.test(text)) await type(person.number)
    else if (/Code of/.test(text)) await type(person.code)
    else if (/Remove card/.test(text)) await handheld.act({ pull: true })
    else if (/Insert card/.test(text) && handheld.inserted() === undefined)
      await handheld.act({ insert: person.card })
    else if (/Enter PIN/.test(text) && /green key/.test(text)) await type(pinOf(deck, person.card))
  }
  const watching = (async () => {
    while (person.working) {
      await look().catch((error: Error) => t.comment(`the person: ${error.message}`))
      await systemClock.sleep(40)
    }
  })()
  closers.push(() => {
    person.working = false
    return watching
  })

  // The secure world itself.
  const bridgeSocket = join(dir, 'bridge')
  const config: SecureConfig = {
    profile: 'development',
    dataDir: secureDir,
    bridgeSocket,
    bridgeMode: 0o600,
    board: BOARD,
    boardParams,
    passphraseFile: join(secureDir, 'passphrase'),
    logLevel: 'info',
  }
  const configFile = join(dir, 'secure.json')
  writeFileSync(configFile, JSON.stringify(config))
  const log = createWriteStream(join(dir, 'secure.log'), { flags: 'a' })
  closers.push(() => log.end())
  let child: ChildProcess | undefined
  const cutPower = async () => {
    if (child === undefined) return
    const gone = new Promise((resolve) => child!.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
    child = undefined
  }
  async function powerOn(): Promise<void> {
    const boot = join(packageRoot, 'dist', 'runtime', 'secure', 'boot.js')
    const started = spawn(process.execPath, [boot, configFile], { stdio: ['ignore', 'pipe', 'pipe'] })
    child = started
    started.stderr.pipe(log, { end: false })
    await new Promise<void>((resolve, reject) => {
      let text = ''
      started.stdout.on('data', (bytes: Buffer) => {
        log.write(bytes)
        text += bytes.toString()
        if (text.includes('"ready":true')) resolve()
      })
      started.once('exit', (code) =>
        reject(
          new Error(
            `the secure world ended with ${code}: ${readFileSync(join(dir, 'secure.log'), 'utf8').slice(-2000)}`,
          ),
        ),
      )
    })
  }
  closers.push(cutPower)
  await powerOn()

  // The open world: its bridge, pipes and gateway, without apps.
  let online = true
  const listeners = new Set<(online: boolean) => void>()
  const network = {
    online: () => online,
    on: (listener: (online: boolean) => void) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const gatewaySocket = await options.gateway?.(
    dir,
    [...hosts].map(([id, { running, ca }]) => ({ id, port: running.port, ca })),
  )
  const surroundings = { clock: systemClock, random: systemRandom, log: silentLog }
  const local =
    gatewaySocket === undefined
      ? undefined
      : connectLocalGateway({ socketPath: gatewaySocket, network, ...surroundings })
  const carrier = carryGateway(local?.transport, () => bridge.secure, silentLog)
  const pipes = createPipes({
    allowed: entries.flatMap(({ host, port }) => (host && port ? [{ host, port }] : [])),
    network,
    secure: () => bridge.secure,
    log: silentLog,
  })
  const nothing = () => null
  const bridge: Bridge = connectBridge({
    socketPath: bridgeSocket,
    ...surroundings,
    serve: {
      ...pipes.serve,
      ...carrier.serve,
      'apps.freeze': nothing,
      'apps.thaw': nothing,
      'payments.changed': nothing,
      'terminal.changed': nothing,
    },
  })
  const tellStatus = () =>
    bridge.secure['status.set']({
      network: online ? 'online' : 'offline',
      cloud: 'connected',
      printer: 'ready',
      outbox: 0,
    }).catch(() => undefined)
  bridge.on((connected) => {
    if (!connected) return pipes.closeAll('the secure world is away')
    void tellStatus()
    carrier.tell()
  })
  closers.push(async () => {
    carrier.close()
    local?.close()
    pipes.close()
    await bridge.close()
  })
  if (local !== undefined) await eventually('the gateway', () => local.transport.connected())
  await bridge.whenConnected(PATIENCE_MS)

  /** The journal as it stands; the process that owns it goes on. */
  function payments() {
    const journal = openJournal(join(secureDir, 'journal.db'), systemClock)
    try {
      return journal.list(1000)
    } finally {
      journal.close()
    }
  }
  const as = (number: string, code: string) => Object.assign(person, { number, code })

  return {
    dir,
    bridge,
    gatewayConnected: () => local?.transport.connected() ?? false,
    network(next) {
      online = next
      for (const listener of [...listeners]) listener(next)
      void tellStatus()
    },
    async pay(key, minor, card) {
      person.card = card
      const amount = { minor: minor.toString(), currency: MERCHANT.currency }
      const view = await bridge.secure['payments.collect']({
        owner: OWNER,
        request: { key, amount, reference: key },
      })
      await eventually('the card to be taken', async () => {
        if (handheld.inserted() !== undefined && person.working) await handheld.act({ pull: true })
        return handheld.inserted() === undefined
      })
      return view
    },
    async takeBack(key, original) {
      as('9001', '9999')
      return bridge.secure['payments.void']({
        owner: OWNER,
        request: { key, original, reason: 'not wanted' },
      })
    },
    async signIn() {
      as('1001', '1111')
      await bridge.whenConnected(PATIENCE_MS)
      await bridge.secure['session.signIn']({ owner: OWNER })
    },
    cutPower,
    powerOn,
    entries: async (acquirer) =>
      (await asked<{ entries: Entry[] }>(hosts.get(acquirer)!.running.queryPort!, '/entries')).entries,
    async verdicts() {
      await eventually('everything that is owed', () => unresolvedOf(payments()).length === 0)
      const all = payments()
      const words: Record<string, string> = {}
      for (const [id, { running, entry }] of hosts) {
        const totals = batchTotals(all.filter(({ acquirer }) => acquirer === id))
        const { lines } = await asked<{ lines: string[] }>(running.queryPort!, '/verdict', {
          terminalId: entry.terminalId,
          currency: CURRENCIES[entry.currency]!.numeric,
          totals,
        })
        words[id] = lines.join('\n')
      }
      return words
    },
    record: (key) => payments().find((payment) => payment.key === key) as never,
  }
}
