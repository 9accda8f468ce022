// The kernel's CPU time for a whole payment, in process, with the card's and the wire's share apart.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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
import { type Bench, median, type Row } from './measure.js'

const CARD = 'credit-pin'
const PIN = '1234'
const KERNEL_RUNS = 15

const now = () => systemClock.monotonicMs()

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
  useStripe: (_amount, _again, signal) => untilAborted(signal),
  useChip: (_amount, signal) => untilAborted(signal),
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
  const tables = emvTables(ensureIssuerKeys(keysDir))
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
  })(people, { lastAmount: async () => undefined, onExceptionFile: async () => false })
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
  title: 'the kernel, the card and the wire, apart',
  async run() {
    const folder = mkdtempSync(join(tmpdir(), 'postern-bench-'))
    try {
      return await kernelRows(folder)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}
