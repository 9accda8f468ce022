// A collect by stage on the running terminal, and the kernel's CPU time in process with the card's and the wire's share apart.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { ascii } from '../../hal/base/bytes.js'
import { systemClock, systemRandom } from '../../hal/base/clock.js'
import { PosternError } from '../../hal/base/errors.js'
import { silentLog } from '../../hal/base/log.js'
import { money } from '../../hal/base/money.js'
import type { ChipCardReader, ChipCardSession } from '../../hal/chip-card-reader.js'
import { chipCardReaderDriver } from '../../hal/simulated/chip-card-reader.js'
import { createSimulatedHardware } from '../../hal/simulated/hardware.js'
import { serveHardware } from '../../hal/simulated/serve-hardware.js'
import type { VirtualCard } from '../../hal/simulated/virtual-card.js'
import type { CardPrompts } from '../../runtime/secure/card-transaction.js'
import { emvConfiguration } from '../../runtime/secure/emv/configuration.js'
import { contactCardTransactions } from '../../runtime/secure/emv/contact-card-transaction.js'
import type { CardKeys } from '../../runtime/secure/keys/terminal-keys.js'
import { emvTables } from '../dev/factory/documents.js'
import { openDeck } from '../dev/issuer/deck.js'
import { createIssuerHost } from '../dev/issuer/issuer-host.js'
import { ensureIssuerKeys } from '../dev/issuer/issuer-keys.js'
import { play } from '../dev/scenarios/player.js'
import { readScenario, type Step } from '../dev/scenarios/scenario.js'
import { createStage } from '../dev/scenarios/stage.js'
import { startTerminal } from '../dev/supervisor/terminal.js'
import { type Bench, median, type Row } from './measure.js'

const CARD = 'credit-pin'
const PIN = '1234'
const POLL_MS = 5
const LONGEST_MS = 30_000
const KERNEL_RUNS = 15

/** English parcels that the acquirer approves, with what is due as the screen writes it. */
const PARCELS = [
  ['PH-100001', '€24.50'],
  ['PH-100005', '€12.00'],
  ['PH-100009', '€45.00'],
  ['PH-100004', '€312.90'],
] as const

const now = () => systemClock.monotonicMs()

interface Collect {
  readonly toPin: number
  readonly toHost: number
  readonly line: number
  readonly host: number
  readonly card: number
  readonly toApproved: number
  readonly print: number
}

/** Collects on a running terminal, over its own processes. */
async function collects(folder: string, tell: (line: string) => void): Promise<Collect[]> {
  const terminal = await startTerminal({
    dataDir: folder,
    board: 'virtual-handheld',
    port: 0,
    hostMs: 30_000,
    logLevel: 'info',
    tell,
  })
  try {
    const stage = createStage(terminal)
    const steps = async (...list: Step[]) => {
      const hands = { ...stage, verdict: async () => ({ agrees: true, words: '' }) }
      const result = await play({ title: 'bench', steps: list }, hands, systemClock, () => undefined)
      if (!result.passed) throw new Error(result.failure)
    }
    const until = async (holds: () => Promise<boolean>): Promise<number> => {
      for (const limit = now() + LONGEST_MS; now() < limit; await systemClock.sleep(POLL_MS))
        if (await holds()) return now()
      throw new Error(`nothing in ${LONGEST_MS} ms`)
    }
    const untilScreen = (word: string) =>
      until(async () => (await stage.screens(0)).at(-1)?.lines.join('\n').includes(word) === true)
    const { steps: usual } = readScenario('courier-card')
    // Signed in, before the first parcel is chosen.
    await steps(...usual.slice(0, usual.findIndex((step) => 'insert' in step) - 5))
    const journal = new Database(join(terminal.layout.secure, 'journal.db'), { readonly: true })
    const latest = journal.prepare('SELECT at_ms FROM entries WHERE step = ? ORDER BY seq DESC LIMIT 1')
    const at = (step: string) => (latest.get(step) as { at_ms: number }).at_ms

    const done: Collect[] = []
    for (const [waybill, due] of PARCELS) {
      await stage.scan(waybill)
      await untilScreen(`Collect ${due}`)
      await stage.press('enter')
      await untilScreen('Insert card')
      const inserted = now()
      await stage.insert(CARD)
      const asked = await untilScreen('green key')
      for (const digit of PIN) await stage.press(digit)
      const entered = now()
      const enteredAt = Date.now()
      await stage.press('enter')
      const approved = await untilScreen('Approved')
      const pulled = now()
      await stage.pull()
      // Asked when the printer has answered that the customer's copy is out.
      const printed = await untilScreen("Print the courier's copy")
      done.push({
        toPin: asked - inserted,
        toHost: at('payment.prepared') - enteredAt,
        line: at('payment.sending') - at('payment.prepared'),
        host: at('payment.hostApproved') - at('payment.sending'),
        card: at('payment.cardApproved') - at('payment.hostApproved'),
        toApproved: approved - entered,
        print: printed - pulled,
      })
      await stage.press('cancel')
      await untilScreen(`Today ${done.length} of 10`)
    }
    journal.close()
    return done
  } finally {
    await terminal.stop()
  }
}

const untilAborted = (signal?: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const end = () => reject(new PosternError('ABORTED', 'cancelled'))
    if (signal?.aborted) end()
    signal?.addEventListener('abort', end, { once: true })
  })

/** What has been spent so far, in milliseconds of wall clock and of this process's CPU. */
class Meter {
  wall = 0
  cpu = 0
  count = 0
  async run<T>(work: () => T | Promise<T>): Promise<T> {
    const cpu = process.cpuUsage()
    const begin = now()
    try {
      return await work()
    } finally {
      const { user, system } = process.cpuUsage(cpu)
      this.wall += now() - begin
      this.cpu += (user + system) / 1000
      this.count++
    }
  }
}

const metered = (card: VirtualCard, meter: Meter): VirtualCard => ({
  powerOn: () => card.powerOn(),
  powerOff: () => card.powerOff(),
  transmit: (command) => meter.run(() => card.transmit(command)),
})

/** A slot with nothing between kernel and card. */
function directReader(card: VirtualCard): ChipCardReader {
  const session: ChipCardSession = {
    atr: new Uint8Array(0),
    protocol: 'T=1',
    async transmit(command) {
      const bytes = await card.transmit(command)
      return bytes === undefined ? { kind: 'mute' } : { kind: 'response', bytes }
    },
    release: async () => card.powerOff(),
  } as ChipCardSession
  return {
    waitForCard: async () => undefined,
    waitForRemoval: untilAborted,
    powerOn: async () => ({ kind: 'session', session: { ...session, atr: card.powerOn()! } }),
  } as unknown as ChipCardReader
}

const people: CardPrompts = {
  presentCard: (_amount, signal) => untilAborted(signal),
  cardUnreadable: (signal) => untilAborted(signal),
  chooseApplication: async () => 0,
  confirmApplication: async () => true,
  enterPin: async () => ({ kind: 'entered', digits: ascii.encode(PIN) }),
  preferLanguages: () => undefined,
  busy: () => undefined,
  removeCard: () => undefined,
}
/** The keys' share is a bench of its own. */
const clearKeys: CardKeys = {
  encryptCardData: async (clear) => ({ ksn: new Uint8Array(12), bytes: clear.slice() }),
  encryptPin: async (pin) => ({ ksn: new Uint8Array(12), bytes: pin.slice() }),
  cardToken: async () => '00'.repeat(32),
}

/** One payment by the kernel: `kernel` counts it from the card to the last cryptogram without the issuer, `wire` the reader. */
async function payOnce(reader: ChipCardReader, keysDir: string, kernel: Meter, wire: Meter): Promise<void> {
  const timedReader = {
    waitForCard: (signal?: AbortSignal) => reader.waitForCard(signal),
    waitForRemoval: untilAborted,
    async powerOn() {
      const outcome = await reader.powerOn()
      if (outcome.kind !== 'session') return outcome
      const { session } = outcome
      return {
        ...outcome,
        session: {
          atr: session.atr,
          protocol: session.protocol,
          transmit: (command: Uint8Array) => wire.run(() => session.transmit(command)),
          release: () => session.release(),
        },
      }
    },
  } as unknown as ChipCardReader
  const tables = emvTables(ensureIssuerKeys(keysDir).caPublicKeys)
  const configuration = emvConfiguration(tables)
  const issuer = createIssuerHost({ keysDir })
  const { signal } = new AbortController()
  const transaction = contactCardTransactions({
    reader: timedReader,
    keys: clearKeys,
    configuration: () => configuration,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  })(people)
  const request = { type: 'sale', sequence: 1, at: new Date(), locale: 'en' } as const
  const start = await kernel.run(() => transaction.start({ ...request, amount: money(1250, 'EUR') }, signal))
  if (start.kind !== 'online') throw new Error(`the card answered ${start.kind}`)
  const { cardData, facts, pinBlock, de55 } = start.authorisation
  const decision = issuer.authorise({
    pan: Buffer.from(cardData.bytes).toString('hex').split('d')[0]!,
    panSequence: facts.panSequence ?? '00',
    track2: cardData.bytes,
    pin: pinBlock?.bytes,
    de55,
    amountMinor: 1250n,
    currencyNumeric: '978',
  })
  const { responseCode, issuerAuthenticationData, scripts } = decision
  const final = await kernel.run(() =>
    transaction.hostAnswer(
      {
        kind: 'answered',
        responseCode,
        approved: responseCode === '00',
        issuerAuthenticationData,
        scripts,
      },
      signal,
    ),
  )
  if (final.kind !== 'approved') throw new Error(`the card ended ${final.kind}`)
}

async function kernelRows(folder: string): Promise<Row[]> {
  const keysDir = join(folder, 'issuer')
  const card = openDeck({ keysDir }).card(CARD)

  const kernelCpu: number[] = []
  const cardCpu: number[] = []
  for (let run = 0; run < KERNEL_RUNS; run++) {
    const kernel = new Meter()
    const chip = new Meter()
    await payOnce(directReader(metered(card, chip)), keysDir, kernel, new Meter())
    kernelCpu.push(kernel.cpu - chip.cpu)
    cardCpu.push(chip.cpu)
  }

  const hardware = createSimulatedHardware()
  const socket = join(folder, 'hardware.sock')
  const server = await serveHardware(hardware, socket, 'secure')
  const reader = await chipCardReaderDriver().open({ socket } as never, {
    id: 'chip',
    clock: systemClock,
    log: silentLog,
  })
  const wireMs: number[] = []
  let commands = 0
  try {
    for (let run = 0; run < KERNEL_RUNS; run++) {
      const chip = new Meter()
      const wire = new Meter()
      hardware.chip.insert(metered(card, chip))
      await payOnce(reader, keysDir, new Meter(), wire)
      hardware.chip.pull()
      await reader.waitForRemoval()
      wireMs.push(wire.wall - chip.wall)
      commands = wire.count
    }
  } finally {
    await reader.close()
    await server.close()
    hardware.close()
  }
  const peer = { what: "the card's own CPU time", value: median(cardCpu) }
  return [
    {
      what: `kernel CPU, a whole payment of ${commands} commands`,
      value: median(kernelCpu),
      unit: 'ms',
      peer,
    },
    { what: "wire: the same commands over the hardware's socket", value: median(wireMs), unit: 'ms', peer },
  ]
}

export const bench: Bench = {
  title: 'a collect by stage; kernel, card and wire apart',
  async run(tell) {
    const folder = mkdtempSync(join(tmpdir(), 'postern-bench-'))
    try {
      const done = await collects(join(folder, 'terminal'), tell)
      const of = (stage: keyof Collect) => median(done.map((collect) => collect[stage]))
      const whole = of('toPin') + of('toApproved') + of('print')
      const share = { what: 'collect without the person', value: whole }
      const row = (what: string, stage: keyof Collect): Row => ({
        what,
        value: of(stage),
        unit: 'ms',
        peer: share,
      })
      return [
        row('card: in the slot to PIN prompt', 'toPin'),
        row('card: green key to first cryptogram', 'toHost'),
        row('host: connection and TLS through the open world', 'line'),
        row('host: message leaves to answer', 'host'),
        row('card: answer to second cryptogram', 'card'),
        row('all: green key to "Approved" on the screen', 'toApproved'),
        row("print: card out to the customer's copy on paper", 'print'),
        ...(await kernelRows(folder)),
      ]
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}
