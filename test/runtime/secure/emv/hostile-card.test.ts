// A card that leaves, falls silent, stalls, lies, repeats itself or asks for ever, at each command of a payment in turn: a defined
// outcome and a bounded number of commands, whatever the moment.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ascii } from '../../../../hal/base/bytes.js'
import { type Clock, systemClock, systemRandom } from '../../../../hal/base/clock.js'
import { PosternError } from '../../../../hal/base/errors.js'
import { silentLog } from '../../../../hal/base/log.js'
import { money } from '../../../../hal/base/money.js'
import type { ChipCardReader, TransmitOutcome } from '../../../../hal/chip-card-reader.js'
import type { CardPrompts, FinalOutcome, StartOutcome } from '../../../../runtime/secure/card-transaction.js'
import { emvConfiguration } from '../../../../runtime/secure/emv/configuration.js'
import { contactCardTransactions } from '../../../../runtime/secure/emv/contact-card-transaction.js'
import { MAX_EXCHANGES } from '../../../../runtime/secure/emv/transport.js'
import { emvTables } from '../../../../scripts/dev/factory/documents.js'
import { createCard } from '../../../../scripts/dev/issuer/card-engine.js'
import { loadProfiles } from '../../../../scripts/dev/issuer/card-profile.js'
import { createIssuerHost } from '../../../../scripts/dev/issuer/issuer-host.js'
import { ensureIssuerKeys } from '../../../../scripts/dev/issuer/issuer-keys.js'
import { personalise } from '../../../../scripts/dev/issuer/personalise.js'
import { memoryStore } from '../../../../scripts/dev/issuer/state-stores.js'
import { hex, tlv } from './kernel-inputs.js'

const keysDir = mkdtempSync(join(tmpdir(), 'postern-hostile-'))
t.teardown(() => rmSync(keysDir, { recursive: true, force: true }))
const keys = ensureIssuerKeys(keysDir)
const configuration = emvConfiguration(emvTables(keys))
const clock: Clock = { ...systemClock, sleep: async () => undefined }
const SCRIPTS = [hex(tlv('71', tlv('86', '841E000000'))), hex(tlv('72', tlv('86', '8424000000')))]

const untilAborted = (signal?: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const end = () => reject(new PosternError('ABORTED', 'cancelled'))
    if (signal?.aborted) end()
    signal?.addEventListener('abort', end, { once: true })
  })

/** What the card does instead of its honest answer; `from` on it goes on so where it cannot come back. */
type Habit = (honest: Uint8Array, before: Uint8Array, index: number, from: number) => TransmitOutcome
const answer = (bytes: Uint8Array): TransmitOutcome => ({ kind: 'response', bytes })
const once =
  (bytes: string): Habit =>
  (honest, _before, index, from) =>
    answer(index === from ? hex(bytes) : honest)
const HABITS = {
  removed: () => ({ kind: 'removed' }),
  mute: () => ({ kind: 'mute' }),
  stalls: () => ({ kind: 'timeout' }),
  garbage: once('DEADBEEF00112233445566778899AABB'),
  'nothing at all': once(''),
  'malformed TLV': once('70FF9000'),
  'empty 9000': once('9000'),
  '6F00': once('6F00'),
  'repeats itself': (_honest, before) => answer(before),
  '61xx for ever': () => answer(hex('6110')),
  '6Cxx for ever': () => answer(hex('6C10')),
  '61xx with data for ever': () => answer(hex(`${'AA'.repeat(200)}61FF`)),
} as const satisfies Readonly<Record<string, Habit>>

interface Played {
  readonly sent: readonly string[]
  readonly start: StartOutcome
  readonly final: FinalOutcome | undefined
}

/** One payment of 12.50 with offline PIN, online, with a script before and one after; `from` is where the habit begins. */
async function play(id: string, habit?: Habit, from = Number.POSITIVE_INFINITY): Promise<Played> {
  const profile = loadProfiles().find((card) => card.id === id)!
  const card = createCard(personalised(id), { store: memoryStore(), random: systemRandom })
  const sent: string[] = []
  let before: Uint8Array = hex('9000')
  const reader = {
    waitForCard: async () => undefined,
    waitForRemoval: untilAborted,
    powerOn: async () => ({
      kind: 'session' as const,
      session: {
        atr: card.powerOn()!,
        protocol: 'T=1' as const,
        async transmit(command: Uint8Array): Promise<TransmitOutcome> {
          const index = sent.length
          sent.push(COMMANDS[command[1]!] ?? 'script')
          if (index > 3 * MAX_EXCHANGES) throw new Error('the kernel lets itself be led without end')
          const honest = (await card.transmit(command))!.slice()
          const outcome: TransmitOutcome =
            habit && index >= from ? habit(honest, before, index, from) : answer(honest)
          if (!habit || index < from) before = honest.slice()
          return outcome.kind === 'response' ? answer(outcome.bytes.slice()) : outcome
        },
        release: async () => card.powerOff(),
      },
    }),
  } as unknown as ChipCardReader
  let track2: Uint8Array = new Uint8Array()
  const typed: Uint8Array[] = []
  const people: CardPrompts = {
    presentCard: (_amount, signal) => untilAborted(signal),
    cardUnreadable: (signal) => untilAborted(signal),
    useStripe: (_amount, _again, signal) => untilAborted(signal),
    useChip: (_amount, signal) => untilAborted(signal),
    chooseApplication: async () => 0,
    confirmApplication: async () => true,
    async enterPin() {
      if (typed.length > 20) throw new Error('the PIN is asked for without end')
      typed.push(ascii.encode(profile.pin))
      return { kind: 'entered', digits: typed.at(-1)! }
    },
    preferLanguages: () => undefined,
    busy: () => undefined,
    removeCard: () => undefined,
  }
  const transaction = contactCardTransactions({
    reader,
    keys: {
      encryptCardData: async (clear) => {
        track2 = clear.slice()
        return { ksn: new Uint8Array(12), bytes: clear.slice() }
      },
      encryptPin: async (pin) => ({ ksn: new Uint8Array(12), bytes: pin.slice() }),
      cardToken: async () => '00'.repeat(32),
    },
    configuration: () => configuration,
    clock,
    random: systemRandom,
    log: silentLog,
  })(people, { lastAmount: async () => undefined, onExceptionFile: async () => false })
  const { signal } = new AbortController()
  const start = await transaction.start(
    {
      type: 'sale',
      amount: money(1250, 'EUR'),
      sequence: 1,
      at: new Date(2026, 10, 22, 10, 15),
      locale: 'en',
    },
    signal,
  )
  let final: FinalOutcome | undefined
  if (start.kind === 'online') {
    // A new one each time: it would take a second card with the same counter for a copy.
    const decision = createIssuerHost({ keysDir }).authorise({
      pan: profile.applications[0]!.pan,
      panSequence: start.authorisation.facts.panSequence ?? '00',
      track2,
      pin: start.authorisation.pinBlock?.bytes,
      de55: start.authorisation.de55,
      amountMinor: 1250n,
      currencyNumeric: '978',
    })
    final = await transaction.hostAnswer(
      {
        kind: 'answered',
        responseCode: '00',
        approved: true,
        issuerAuthenticationData: decision.issuerAuthenticationData,
        scripts: SCRIPTS,
      },
      signal,
    )
  }
  await transaction.finish({ approved: false })
  t.ok(typed.every((digits) => digits.every((digit) => digit === 0)))
  return { sent, start, final }
}

const made = new Map<string, ReturnType<typeof personalise>>()
function personalised(id: string): ReturnType<typeof personalise> {
  const card = made.get(id) ?? personalise(loadProfiles().find((profile) => profile.id === id)!, keys)
  made.set(id, card)
  return card
}

const COMMANDS: Readonly<Record<number, string>> = {
  164: 'SELECT',
  178: 'READ RECORD',
  168: 'GET PROCESSING OPTIONS',
  136: 'INTERNAL AUTHENTICATE',
  202: 'GET DATA',
  132: 'GET CHALLENGE',
  32: 'VERIFY',
  174: 'GENERATE AC',
  130: 'EXTERNAL AUTHENTICATE',
}

const endOf = ({ start, final }: Played): string => {
  const last = final ?? start
  return last.kind === 'ended' ? `ended ${last.reason}` : last.kind
}

/** What an error status at each command comes to (Book 3, 6.3.5 and 10; Book 1, 12): on with the payment, or its end. */
const AT_ERROR: Readonly<Record<string, RegExp>> = {
  SELECT: /^(approved|ended notAccepted)$/,
  'GET PROCESSING OPTIONS': /^ended cardError$/,
  'READ RECORD': /^(approved|ended cardError)$/,
  'INTERNAL AUTHENTICATE': /^approved$/,
  'GET DATA': /^approved$/,
  'GET CHALLENGE': /^approved$/,
  VERIFY: /^ended cardError$/,
  'GENERATE AC': /^ended cardError$/,
  'EXTERNAL AUTHENTICATE': /^(approved|declined)$/,
  script: /^approved$/,
}
const seen = new Set<string>()

for (const id of ['credit-offline-pin', 'cda', 'offline-plain-pin'])
  t.test(`${id}: each habit at each command`, async (t) => {
    const honest = await play(id)
    t.equal(endOf(honest), 'approved')
    const { sent } = honest
    for (const command of sent) seen.add(command)
    const afterFinal = sent.lastIndexOf('GENERATE AC') + 1
    for (const needed of ['SELECT', 'READ RECORD', 'GENERATE AC', 'script'])
      t.ok(sent.includes(needed), needed)
    for (const [name, habit] of Object.entries(HABITS))
      for (const [at, command] of sent.entries()) {
        const why = `${name} at ${at + 1}, ${command}`
        const played = await play(id, habit, at)
        const end = endOf(played)
        const final = at >= afterFinal
        if (name === 'removed') t.equal(end, final ? 'approved' : 'ended removed', why)
        else if (['mute', 'stalls', 'garbage', 'nothing at all'].includes(name) || / for ever$/.test(name))
          t.equal(end, final ? 'approved' : 'ended cardError', why)
        else if (name === '6F00') t.match(end, AT_ERROR[command]!, why)
        else t.match(end, /^(approved|declined|declinedOffline|ended (cardError|notAccepted|blocked))$/, why)
        // No answer leads further than sixteen rounds of one command, or the bound of the whole.
        if (/ for ever$/.test(name)) t.ok(played.sent.length <= at + 16 + sent.length, why)
        t.ok(played.sent.length <= 2 * MAX_EXCHANGES, why)
      }
  })

t.test('every command of a payment was among them', async (t) => {
  t.same([...seen].sort(), [...Object.values(COMMANDS), 'script'].sort())
})
