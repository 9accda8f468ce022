// Fuzz target: whole payments through the seam with the deck's real cards, whose answers are changed where the bytes say so.
import { join } from 'node:path'
import { ascii, concat, toHex } from '../../hal/base/bytes.js'
import { type Clock, systemClock } from '../../hal/base/clock.js'
import { PosternError } from '../../hal/base/errors.js'
import { type Log, silentLog } from '../../hal/base/log.js'
import { money } from '../../hal/base/money.js'
import { packageRoot } from '../../hal/base/package-root.js'
import { encodeTlv, encodeTlvList, parseTlv, readTlv, type Tlv } from '../../hal/base/tlv.js'
import type { ChipCardReader, TransmitOutcome } from '../../hal/chip-card-reader.js'
import type { CardPrompts, FinalOutcome, HostAnswer } from '../../runtime/secure/card-transaction.js'
import { emvConfiguration } from '../../runtime/secure/emv/configuration.js'
import { contactCardTransactions } from '../../runtime/secure/emv/contact-card-transaction.js'
import { traceFault } from '../../runtime/secure/emv/traces/trace.js'
import { MAX_EXCHANGES } from '../../runtime/secure/emv/transport.js'
import { diceOf } from '../../scripts/check/fuzz-mutation.js'
import { emvTables } from '../../scripts/dev/factory/documents.js'
import { createCard } from '../../scripts/dev/issuer/card-engine.js'
import { loadProfiles } from '../../scripts/dev/issuer/card-profile.js'
import { createIssuerHost } from '../../scripts/dev/issuer/issuer-host.js'
import { ensureIssuerKeys } from '../../scripts/dev/issuer/issuer-keys.js'
import { personalise } from '../../scripts/dev/issuer/personalise.js'
import type { PersonalisedCard } from '../../scripts/dev/issuer/personalised-card.js'
import { memoryStore } from '../../scripts/dev/issuer/state-stores.js'
import { type Choices, choicesOf } from './support/choices.js'

/** Kept between runs, so that an input that found something finds it again on this machine. */
const keysDir = join(packageRoot, 'dist', 'fuzz-keys')
const keys = ensureIssuerKeys(keysDir)
const issuer = createIssuerHost({ keysDir })
const tables = emvTables(keys)
const CARDS = [
  'cda',
  'credit-offline-pin',
  'credit-pin',
  'offline-plain-pin',
  't0-credit',
  'two-applications',
  'issuer-scripts',
]
const profiles = CARDS.map((id) => loadProfiles().find((profile) => profile.id === id)!)
const made = new Map<string, PersonalisedCard>()

const STATUS = [
  0x6f00, 0x6985, 0x6283, 0x6200, 0x6300, 0x63c2, 0x63c0, 0x6983, 0x6984, 0x6a81, 0x6a82, 0x6a83, 0x6a88,
  0x9001,
]
const status = (sw: number) => Uint8Array.of(sw >> 8, sw & 0xff)

/** One change at a random object of an answer: dropped, doubled, moved, renamed, shortened, grown, a byte changed. */
function changeObjects(list: readonly Tlv[], choices: Choices): Tlv[] {
  if (list.length === 0) return [{ tag: 0x5a, value: choices.bytes(choices.below(12)) }]
  const at = choices.below(list.length)
  const node = list[at]!
  const put = (...nodes: Tlv[]) => [...list.slice(0, at), ...nodes, ...list.slice(at + 1)]
  if (node.children && choices.below(4) !== 3)
    return put({ ...node, children: changeObjects(node.children, choices) })
  const value = node.value.slice()
  switch (choices.below(8)) {
    case 0:
      return put()
    case 1:
      return put(node, node)
    case 2:
      return [node, ...list.slice(0, at), ...list.slice(at + 1)]
    case 3:
      return put({
        tag: choices.pick([0x5a, 0x57, 0x5f24, 0x8c, 0x8d, 0x8e, 0x94, 0x9f38, 0x9f4b, 0x82]),
        value,
      })
    case 4:
      return put({ tag: node.tag, value: value.subarray(0, choices.below(value.length + 1)) })
    case 5:
      return put({ tag: node.tag, value: concat(value, choices.bytes(1 + choices.below(40))) })
    case 6:
      return put({ tag: node.tag, value: choices.bytes(value.length) })
    default:
      if (value.length > 0) value[choices.below(value.length)]! ^= 1 << choices.below(8)
      return put({ tag: node.tag, value })
  }
}

/** What the kernel gets instead of an honest answer. */
function deviate(honest: Uint8Array, last: Uint8Array, choices: Choices): TransmitOutcome {
  const answer = (bytes: Uint8Array): TransmitOutcome => ({ kind: 'response', bytes: bytes.subarray(0, 258) })
  const data = honest.subarray(0, honest.length - 2)
  switch (choices.below(14)) {
    case 0:
      return { kind: 'removed' }
    case 1:
      return { kind: 'mute' }
    case 2:
      return { kind: 'timeout' }
    case 3:
      return answer(choices.bytes(choices.below(258)))
    case 4:
      return answer(status(choices.pick(STATUS)))
    case 5:
      return answer(concat(data, status(choices.pick(STATUS))))
    case 6:
      return answer(Uint8Array.of(choices.pick([0x61, 0x6c]), choices.below(256)))
    case 7:
      return answer(last)
    case 8:
      return answer(concat(data.subarray(0, choices.below(data.length + 1)), Uint8Array.of(0x90, 0)))
    case 9:
      return answer(concat(data, choices.bytes(choices.below(16)), Uint8Array.of(0x90, 0)))
    default: {
      const list = readTlv(data)
      if (!Array.isArray(list)) return answer(honest)
      return answer(concat(encodeTlvList(changeObjects(list, choices)), Uint8Array.of(0x90, 0)))
    }
  }
}

const untilAborted = (signal?: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const end = () => reject(new PosternError('ABORTED', 'cancelled'))
    if (signal?.aborted) end()
    signal?.addEventListener('abort', end, { once: true })
  })
const clock: Clock = { ...systemClock, sleep: async () => undefined }

export const target = {
  name: 'whole payments with changed cards',
  async run(bytes: Uint8Array, seed: number): Promise<string> {
    const choices = choicesOf(bytes)
    const random = diceOf(seed)
    const randomBytes = (length: number) => Uint8Array.from({ length }, random)
    const profile = choices.pick(profiles)
    const personalised = made.get(profile.id) ?? personalise(profile, keys)
    made.set(profile.id, personalised)
    const card = createCard(personalised, { store: memoryStore(), random: randomBytes })
    let commands = 0
    let last: Uint8Array = Uint8Array.of(0x90, 0)
    let gone: TransmitOutcome | undefined
    const reader = {
      waitForCard: async () => undefined,
      waitForRemoval: untilAborted,
      async powerOn() {
        return {
          kind: 'session' as const,
          session: {
            atr: card.powerOn()!,
            protocol: profile.transport,
            async transmit(command: Uint8Array): Promise<TransmitOutcome> {
              commands++
              if (gone) return gone
              const honest = (await card.transmit(command)) ?? Uint8Array.of(0x6f, 0)
              const outcome: TransmitOutcome =
                choices.below(16) === 15
                  ? deviate(honest, last, choices)
                  : { kind: 'response', bytes: honest.slice() }
              if (outcome.kind === 'removed' || outcome.kind === 'timeout') gone = outcome
              last = honest.slice()
              return outcome
            },
            release: async () => card.powerOff(),
          },
        }
      },
    } as unknown as ChipCardReader
    const secrets: Uint8Array[] = []
    let track2: Uint8Array = new Uint8Array()
    let prompts = 0
    const people: CardPrompts = {
      presentCard: (_amount, signal) => untilAborted(signal),
      cardUnreadable: (signal) => untilAborted(signal),
      useStripe: (_amount, _again, signal) => untilAborted(signal),
      useChip: (_amount, signal) => untilAborted(signal),
      chooseApplication: async (labels) => choices.pick([0, 1, undefined, labels.length]),
      confirmApplication: async () => choices.below(4) < 3,
      async enterPin() {
        prompts++
        switch (choices.below(12)) {
          case 9:
            return { kind: 'bypassed' }
          case 10:
            return { kind: 'cancelled' }
          case 11:
            return { kind: 'timeout' }
          default:
            secrets.push(ascii.encode(choices.below(3) === 2 ? '0000' : profile.pin))
            return { kind: 'entered', digits: secrets.at(-1)! }
        }
      },
      preferLanguages: () => undefined,
      busy: () => undefined,
      removeCard: () => undefined,
    }
    let word = ''
    const note = (_event: string, fields: Record<string, unknown> = {}) => {
      word += ` ${fields['rule']}`
    }
    const log: Log = { ...silentLog, info: note, warn: note }
    const configuration = emvConfiguration({
      ...tables,
      terminal: {
        ...tables.terminal,
        type: choices.pick(['22', '21', '23', '25']),
        capabilities: choices.pick(['E0F8C8', 'E0F8C0', 'E00880', 'E0B8C8']),
        pinBypass: choices.below(2) === 1,
      },
      applications: tables.applications.map((row) => ({
        ...row,
        floorLimit: choices.pick(['0', '5000']),
        ...(choices.below(2) === 1 && {
          tacOnline: choices.pick(['0000000000', 'FFFFFFFFFF']),
          tacDefault: choices.pick(['0000000000', 'FFFFFFFFFF']),
          tacDenial: choices.pick(['0000000000', '8000000000']),
        }),
      })),
    })
    let badTrace: string | undefined
    const transaction = contactCardTransactions({
      reader,
      keys: {
        encryptCardData: async (clear) => {
          track2 = clear.slice()
          secrets.push(clear)
          return { ksn: new Uint8Array(12), bytes: clear.slice() }
        },
        encryptPin: async (pin) => ({ ksn: new Uint8Array(12), bytes: pin.slice() }),
        cardToken: async () => '00'.repeat(32),
      },
      configuration: () => configuration,
      clock,
      random: randomBytes,
      log,
      keepTrace(trace) {
        const fault = traceFault(trace)
        if (fault !== undefined) badTrace = fault
      },
    })(people, {
      lastAmount: async () => (choices.below(4) === 3 ? money(5000, 'EUR') : undefined),
      onExceptionFile: async () => choices.below(8) === 7,
    })
    const { signal } = new AbortController()
    const type = choices.pick(['sale', 'sale', 'cash', 'cashback', 'refund'] as const)
    const start = await transaction.start(
      {
        type,
        amount: money(1250, 'EUR'),
        ...(type === 'cashback' && { otherAmount: money(500, 'EUR') }),
        sequence: 1,
        at: new Date(2026, 10, 22, 10, 15),
        locale: 'en',
      },
      signal,
    )
    let final: FinalOutcome | undefined
    let answer: HostAnswer | undefined
    word = `${start.kind}${word}`
    if (start.kind === 'stripe') throw new Error('a stripe out of a chip')
    if (start.kind === 'online') {
      const { authorisation } = start
      const decision = issuer.authorise({
        pan: toHex(track2).split('D')[0]!,
        panSequence: authorisation.facts.panSequence ?? '00',
        track2,
        pin: authorisation.pinBlock?.bytes,
        de55: authorisation.de55,
        amountMinor: 1250n,
        currencyNumeric: '978',
      })
      const responseCode = choices.pick([decision.responseCode, '00', '01', '05', '51', 'Z9'])
      answer =
        choices.below(6) === 5
          ? { kind: 'unableToGoOnline', decline: choices.below(2) === 1 }
          : {
              kind: 'answered',
              responseCode,
              approved: responseCode === '00',
              issuerAuthenticationData:
                choices.below(4) === 3 ? choices.bytes(8) : decision.issuerAuthenticationData,
              scripts: [
                ...(decision.scripts ?? []),
                ...(choices.below(4) === 3 ? [encodeTlv(choices.pick([0x71, 0x72]), choices.bytes(30))] : []),
              ],
            }
      final = await transaction.hostAnswer(answer, signal)
      word += `, ${final.kind}`
    }
    if (start.kind === 'approvedOffline' && start.authorisation.facts.cryptogramType !== 'TC')
      throw new Error('approved offline without a TC')
    if (final?.kind === 'approved' || final?.kind === 'approvedOffline') {
      if (final.facts.cryptogramType !== 'TC') throw new Error('approved without a TC')
      if (answer?.kind === 'answered' && !answer.approved) throw new Error('approved against the host')
      if ((answer?.kind === 'answered') !== (final.kind === 'approved')) throw new Error('approved by nobody')
    }
    const de55 =
      final && 'de55' in final ? final.de55 : start.kind === 'declinedOffline' ? start.de55 : undefined
    for (const sent of [de55, start.kind === 'online' ? start.authorisation.de55 : undefined]) {
      if (sent === undefined) continue
      if (sent.length > 255) throw new Error(`DE55 of ${sent.length} bytes`)
      if (parseTlv(sent).some(({ tag }) => [0x57, 0x5a, 0x5f20, 0x5f24].includes(tag)))
        throw new Error('a PAN in DE55')
    }
    await transaction.finish({ approved: false })
    if (badTrace !== undefined) throw new Error(`a trace that is none: ${badTrace}`)
    if (commands > 2 * MAX_EXCHANGES) throw new Error(`${commands} commands`)
    if (prompts > 100) throw new Error(`${prompts} PINs asked for`)
    if (secrets.some((secret) => secret.some((byte) => byte !== 0)))
      throw new Error('a secret was not erased')
    return word
  },
}
