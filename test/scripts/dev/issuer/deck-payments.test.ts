// Every card of the deck through the terminal's own kernel and to its issuer: what the README says of each comes true.
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
import type { VirtualCard } from '../../../../hal/simulated/virtual-card.js'
import type { CardPrompts, FinalOutcome, StartOutcome } from '../../../../runtime/secure/card-transaction.js'
import { emvConfiguration } from '../../../../runtime/secure/emv/configuration.js'
import { contactCardTransactions } from '../../../../runtime/secure/emv/contact-card-transaction.js'
import type { Trace } from '../../../../runtime/secure/emv/traces/trace.js'
import { replayTrace } from '../../../../runtime/secure/emv/traces/trace-replay.js'
import type { CardKeys } from '../../../../runtime/secure/keys/terminal-keys.js'
import { emvTables } from '../../../../scripts/dev/factory/documents.js'
import { loadProfiles } from '../../../../scripts/dev/issuer/card-profile.js'
import { openDeck } from '../../../../scripts/dev/issuer/deck.js'
import { createIssuerHost } from '../../../../scripts/dev/issuer/issuer-host.js'
import { ensureIssuerKeys } from '../../../../scripts/dev/issuer/issuer-keys.js'

const dir = mkdtempSync(join(tmpdir(), 'postern-deck-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))
const configuration = emvConfiguration(emvTables(ensureIssuerKeys(dir)))
const profiles = loadProfiles()

/** Ends as the contracts ask: with `ABORTED`. */
const untilAborted = (signal?: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const end = () => reject(new PosternError('ABORTED', 'cancelled'))
    if (signal?.aborted) end()
    signal?.addEventListener('abort', end, { once: true })
  })

/** A reader that holds one card and never lets it go; commands are counted and bounded. */
function slotWith(card: VirtualCard, commands: { count: number }): ChipCardReader {
  let answered = false
  const reader = {
    waitForCard: async () => undefined,
    // A card that does not answer is taken out and put in again; one that does stays.
    waitForRemoval: (signal?: AbortSignal) => (answered ? untilAborted(signal) : Promise.resolve()),
    async powerOn() {
      const atr = card.powerOn()
      if (atr === undefined) return { kind: 'mute' as const }
      answered = true
      return {
        kind: 'session' as const,
        session: {
          atr,
          protocol: 'T=1' as const,
          async transmit(command: Uint8Array): Promise<TransmitOutcome> {
            if (++commands.count > 3000) throw new Error('the kernel lets itself be led without end')
            const bytes = await card.transmit(command)
            return bytes === undefined || bytes.length < 2 ? { kind: 'mute' } : { kind: 'response', bytes }
          },
          release: async () => card.powerOff(),
        },
      }
    },
  }
  return reader as unknown as ChipCardReader
}

/** Keys that leave everything clear, so that the test can play the acquirer. */
const clearKeys: CardKeys = {
  encryptCardData: async (clear) => ({ ksn: new Uint8Array(12), bytes: clear.slice() }),
  encryptPin: async (pin) => ({ ksn: new Uint8Array(12), bytes: pin.slice() }),
  cardToken: async () => '00'.repeat(32),
}

interface Played {
  readonly start: StartOutcome
  readonly final: FinalOutcome | undefined
  readonly responseCode: string | undefined
  readonly prompts: readonly string[]
  readonly languages: readonly string[]
  readonly commands: number
  readonly trace: Trace | undefined
}

const deckClock: Clock = { ...systemClock, sleep: async () => undefined }
/** Of every payment that was played. */
const traces: { id: string; trace: Trace }[] = []
const deck = openDeck({ keysDir: dir, clock: deckClock })
const issuer = createIssuerHost({ keysDir: dir })

/** Plays 12.50 with a card: PINs are typed in order, the last choice is of the list. */
async function play(id: string, pins: readonly string[], choice = 0, amountMinor = 1250): Promise<Played> {
  const shown: string[] = []
  const languages: string[] = []
  const commands = { count: 0 }
  const typed = [...pins]
  const prompts: CardPrompts = {
    presentCard: (_amount, signal) => untilAborted(signal),
    cardUnreadable: (signal) => {
      shown.push('unreadable')
      return untilAborted(signal)
    },
    useStripe: (_amount, _again, signal) => untilAborted(signal),
    useChip: (_amount, signal) => untilAborted(signal),
    async chooseApplication(labels) {
      shown.push(`choose ${labels.join(', ')}`)
      return choice
    },
    async confirmApplication(label) {
      shown.push(`confirm ${label}`)
      return true
    },
    async enterPin({ online, triesLeft, wrong }) {
      shown.push(
        `${wrong ? 'wrong, ' : ''}${online ? 'online' : 'offline'} PIN${triesLeft === undefined ? '' : ` ${triesLeft}`}`,
      )
      const pin = typed.shift()
      return pin === undefined ? { kind: 'cancelled' } : { kind: 'entered', digits: ascii.encode(pin) }
    },
    preferLanguages: (codes) => void languages.push(...codes),
    busy: () => undefined,
    removeCard: () => undefined,
  }
  const transaction = contactCardTransactions({
    reader: slotWith(deck.card(id), commands),
    keys: clearKeys,
    configuration: () => configuration,
    clock: deckClock,
    random: systemRandom,
    log: silentLog,
    keepTrace(kept) {
      trace = kept
      traces.push({ id, trace: kept })
    },
  })(prompts, { lastAmount: async () => undefined, onExceptionFile: async () => false })
  let trace: Trace | undefined
  const { signal } = new AbortController()
  const start = await transaction.start(
    { type: 'sale', amount: money(amountMinor, 'EUR'), sequence: 1, at: new Date(), locale: 'en' },
    signal,
  )
  let final: FinalOutcome | undefined
  let responseCode: string | undefined
  if (start.kind === 'online') {
    const { authorisation } = start
    const track2 = authorisation.cardData.bytes
    const decision = issuer.authorise({
      pan: Buffer.from(track2).toString('hex').split('d')[0]!,
      panSequence: authorisation.facts.panSequence ?? '00',
      track2,
      pin: authorisation.pinBlock?.bytes,
      de55: authorisation.de55,
      amountMinor: BigInt(amountMinor),
      currencyNumeric: '978',
    })
    responseCode = decision.responseCode
    final = await transaction.hostAnswer(
      {
        kind: 'answered',
        responseCode,
        approved: responseCode === '00',
        issuerAuthenticationData: decision.issuerAuthenticationData,
        scripts: decision.scripts,
      },
      signal,
    )
  }
  await transaction.finish({ approved: final?.kind === 'approved' })
  return { start, final, responseCode, prompts: shown, languages, commands: commands.count, trace }
}

const pinOf = (id: string): string => profiles.find((card) => card.id === id)!.pin

/** What comes of 12.50: the prompts, the issuer's code, how it ends and by what verification. */
const EXPECTED: Readonly<
  Record<
    string,
    { prompts: string[]; code?: string; end: string; cvm?: 'pin' | 'signature' | 'none' | 'failed' }
  >
> = {
  'credit-pin': { prompts: ['online PIN'], code: '00', end: 'approved', cvm: 'pin' },
  'credit-offline-pin': { prompts: ['offline PIN 3'], code: '00', end: 'approved', cvm: 'pin' },
  'debit-signature': { prompts: [], code: '00', end: 'approved', cvm: 'signature' },
  'low-value': { prompts: [], code: '00', end: 'approved', cvm: 'none' },
  'dda-failing': { prompts: ['online PIN'], code: '00', end: 'approved', cvm: 'pin' },
  expired: { prompts: ['online PIN'], code: '54', end: 'declined', cvm: 'pin' },
  'blocked-application': { prompts: [], end: 'ended blocked' },
  'pin-one-try': { prompts: ['offline PIN 1'], code: '00', end: 'approved', cvm: 'pin' },
  'pin-blocked': { prompts: [], code: '00', end: 'approved', cvm: 'signature' },
  't0-credit': { prompts: ['online PIN'], code: '00', end: 'approved', cvm: 'pin' },
  'offline-plain-pin': { prompts: ['offline PIN 3'], code: '00', end: 'approved', cvm: 'pin' },
  cda: { prompts: ['online PIN'], code: '00', end: 'approved', cvm: 'pin' },
  xda: { prompts: ['offline PIN 3'], code: '00', end: 'approved', cvm: 'pin' },
  'two-applications': {
    prompts: ['choose POSTERN CREDIT, Girokonto für', 'online PIN'],
    code: '00',
    end: 'approved',
    cvm: 'pin',
  },
  chinese: { prompts: ['online PIN'], code: '00', end: 'approved', cvm: 'pin' },
  'long-pin': { prompts: ['online PIN'], code: '00', end: 'approved', cvm: 'pin' },
  'issuer-scripts': { prompts: ['online PIN'], code: '00', end: 'approved', cvm: 'pin' },
  'script-refused': { prompts: ['online PIN'], code: '00', end: 'approved', cvm: 'pin' },
  'no-funds': { prompts: ['online PIN'], code: '51', end: 'declined', cvm: 'pin' },
  stolen: { prompts: ['online PIN'], code: '43', end: 'declined', cvm: 'pin' },
  'card-says-no': { prompts: ['online PIN'], code: '00', end: 'declined, card said no', cvm: 'pin' },
  'wrong-cryptogram': { prompts: ['online PIN'], code: '05', end: 'declined', cvm: 'pin' },
  'hostile-slow': { prompts: [], code: '00', end: 'approved', cvm: 'none' },
  mute: { prompts: ['unreadable', 'unreadable'], end: 'ended mute' },
}

const facts = ({ start, final }: Played) =>
  final?.facts ?? ('authorisation' in start ? start.authorisation.facts : start.facts)

function endOf({ start, final }: Played): string {
  const last = final ?? start
  if (last.kind === 'ended') return `ended ${last.reason}`
  return last.kind === 'declined' && last.cardSaidNo ? 'declined, card said no' : last.kind
}

for (const card of profiles) {
  const expected = EXPECTED[card.id]
  if (expected === undefined) continue
  t.test(`${card.id}: ${card.description}`, async (t) => {
    const played = await play(card.id, [card.pin])
    t.same(played.prompts, expected.prompts)
    t.equal(played.responseCode, expected.code)
    t.equal(endOf(played), expected.end)
    if (expected.cvm !== undefined) t.equal(facts(played)?.cvm, expected.cvm)
    if (!expected.end.startsWith('ended')) t.same([...new Set(played.languages)], card.languages)
    t.match(
      JSON.stringify([played.start, played.final]),
      /^(?!.*\b9999990\d{9,12}\b)/,
      'no whole PAN in what goes up',
    )
  })
}

t.test('DDA that fails and CDA that holds show in the TVR', async (t) => {
  t.equal(facts(await play('dda-failing', [pinOf('dda-failing')]))?.tvr.slice(0, 2), '08')
  t.equal(facts(await play('cda', [pinOf('cda')]))?.tvr.slice(0, 2), '00')
  t.equal(facts(await play('xda', [pinOf('xda')]))?.tvr, '0100008000', 'XDA selected, above the floor limit')
  t.same((await play('xda', ['0000', pinOf('xda')])).prompts, ['offline PIN 3', 'wrong, offline PIN 2'])
  t.equal(facts(await play('credit-pin', [pinOf('credit-pin')]))?.tvr.slice(0, 2), '00')
  t.equal(facts(await play('debit-signature', []))?.tvr.slice(0, 2), '02', 'SDA selected')
})

t.test('the second application of two', async (t) => {
  const played = await play('two-applications', [pinOf('two-applications')], 1)
  t.equal(played.responseCode, '00')
  t.equal(facts(played)?.aid, 'F0504F5354201001')
})

t.test('above its limit the low-value card asks for the PIN', async (t) => {
  const played = await play('low-value', [pinOf('low-value')], 0, 2500)
  t.same(played.prompts, ['online PIN'])
  t.equal(endOf(played), 'approved')
})

t.test('offline PIN: wrong, then right; wrong until none is left', async (t) => {
  const twice = await play('offline-plain-pin', ['0000', pinOf('offline-plain-pin')])
  t.same(twice.prompts, ['offline PIN 3', 'wrong, offline PIN 2'])
  t.equal(facts(twice)?.cvm, 'pin')
  const last = await play('pin-one-try', ['0000', '0000'])
  // The first payment's right PIN gave it three tries back.
  t.same(last.prompts.slice(0, 2), ['offline PIN 3', 'wrong, offline PIN 2'])
})

t.test('a card whose application a script blocked is refused from then on', async (t) => {
  t.equal(endOf(await play('stolen', [pinOf('stolen')])), 'ended blocked')
})

t.test('hostile cards end the payment within bounds', { timeout: 30_000 }, async (t) => {
  for (const id of [
    'hostile-endless',
    'hostile-endless-records',
    'hostile-giant-length',
    'hostile-deep-nesting',
    'hostile-garbage',
  ]) {
    const played = await play(id, ['0000'])
    t.match(endOf(played), /^ended /, `${id}: ${endOf(played)} after ${played.commands} commands`)
    t.ok(played.commands < 300, `${id}: ${played.commands} commands`)
  }
})

t.test('every payment above replays from its masked trace, bit for bit', async (t) => {
  t.ok(traces.length > 25, `${traces.length} traces`)
  for (const { id, trace } of traces) {
    const text = JSON.stringify(trace)
    t.same(await replayTrace(JSON.parse(text)), { kind: 'same', events: trace.events.length }, id)
    const card = profiles.find((profile) => profile.id === id)
    if (card) t.notOk(text.includes(`24${card.pin}FF`), `${id}: no PIN block`)
  }
})
