// Replay: the kernel again with what a trace says that it was given; every command, prompt and outcome must come out the same, bit for bit.
import { ascii, fromHex, toHex } from '../../../../hal/base/bytes.js'
import { PosternError } from '../../../../hal/base/errors.js'
import { scrubPans } from '../../../../hal/base/log.js'
import type { TransmitOutcome } from '../../../../hal/chip-card-reader.js'
import type { HostAnswer, PinEntry } from '../../card-transaction.js'
import { type CardEnd, isEnd } from '../card-end.js'
import type { SecondResult } from '../completion.js'
import type { EmvConfiguration } from '../configuration.js'
import type { FirstResult } from '../first-cryptogram.js'
import type { SignatureJudge } from '../signature-judge.js'
import type { CardLink } from '../t0-tpdu.js'
import { completeTransaction, type TransactionServices, transactToFirstCryptogram } from '../transaction.js'
import { TransactionData } from '../transaction-data.js'
import { cardChannel } from '../transport.js'
import { type Trace, type TraceEvent, traceFault, unplain } from './trace.js'
import { withoutPin } from './trace-mask.js'
import { outcomeOf } from './trace-recorder.js'

/** `event` counts from 0; `expected` is what the trace says, `got` what the kernel did. */
export type Replay =
  | { readonly kind: 'same'; readonly events: number }
  | { readonly kind: 'differs'; readonly event: number; readonly expected: string; readonly got: string }

/** Ends a replay from inside the kernel, which lets nothing but its own faults pass unseen. */
class Difference extends Error {
  readonly replay: Replay
  constructor(event: number, expected: unknown, got: unknown) {
    super('the kernel differs from the trace')
    this.replay = {
      kind: 'differs',
      event,
      expected: JSON.stringify(expected) ?? 'the end',
      got: JSON.stringify(got),
    }
  }
}

type Kind = TraceEvent['kind']
type Of<K extends Kind> = Extract<TraceEvent, { kind: K }>
/** Takes the next event; what the kernel did of it must be what the event says. */
type Take = <K extends Kind>(kind: K, did?: Partial<Of<K>>) => Of<K>

/**
 * Runs the kernel against a trace.
 * @throws PosternError `TRACE_INVALID` when it is none; `BYTES_INVALID` where its configuration has hex that is none
 */
export async function replayTrace(document: unknown): Promise<Replay> {
  const fault = traceFault(document)
  if (fault !== undefined) throw new PosternError('TRACE_INVALID', `not a trace of this format: ${fault}`)
  const trace = document as Trace
  let at = 0
  const take: Take = (kind, did = {}) => {
    const event = trace.events[at]
    const got = { kind, ...did }
    if (event?.kind !== kind) throw new Difference(at, event, got)
    for (const [key, value] of Object.entries(did))
      if (JSON.stringify((event as Record<string, unknown>)[key]) !== JSON.stringify(value))
        throw new Difference(at, event, got)
    at++
    return event as never
  }
  try {
    await replayWith(trace, take, () => trace.events[at]?.kind)
    if (at < trace.events.length) throw new Difference(at, trace.events[at], 'the end')
    return { kind: 'same', events: at }
  } catch (error) {
    if (error instanceof Difference) return error.replay
    throw error
  }
}

async function replayWith(trace: Trace, take: Take, upcoming: () => Kind | undefined): Promise<void> {
  const judge: SignatureJudge = (step) => (unplain(take('judged', { step }).result) ?? undefined) as never
  const data = new TransactionData(judge)
  const card = cardOf(trace, take)
  const configuration = unplain(trace.configuration) as EmvConfiguration
  const { request } = trace
  const first = await outcome(data, take, () =>
    transactToFirstCryptogram(
      cardChannel(card),
      data,
      configuration,
      {
        type: request.type,
        amount: { minor: BigInt(request.minor), currency: request.currency },
        otherAmount: { minor: BigInt(request.otherMinor), currency: request.currency },
        sequence: request.sequence,
        at: new Date(request.at),
      },
      servicesOf(trace, take),
    ),
  )
  if (first?.kind !== 'first' || upcoming() !== 'answer') return
  const answer = answerOf(take('answer'))
  await outcome(data, take, () => completeTransaction(cardChannel(card), data, first, answer))
}

/** Runs a part of the kernel and holds how it ends against the trace. */
async function outcome<T extends FirstResult | SecondResult>(
  data: TransactionData,
  take: Take,
  part: () => Promise<T | CardEnd>,
): Promise<T | undefined> {
  let result: T | CardEnd
  try {
    result = await part()
  } catch (error) {
    if (error instanceof Difference) throw error
    take('outcome', {
      outcome: { kind: 'fault', fault: error instanceof PosternError ? error.code : 'FAULT' },
    })
    return undefined
  }
  const { outcome, de55 } = outcomeOf(data, result)
  take('outcome', { outcome: 'de55' in outcome ? { ...outcome, de55: toHex(de55) } : outcome })
  return isEnd(result) ? undefined : result
}

/** The recorded card: it answers the recorded command and no other. */
function cardOf(trace: Trace, take: Take): CardLink {
  return {
    protocol: trace.protocol,
    async transmit(command): Promise<TransmitOutcome> {
      const { r } = take('apdu', { c: toHex(withoutPin(command)) })
      if (typeof r === 'string') return { kind: 'response', bytes: fromHex(r) }
      if ('fault' in r) throw new PosternError(r.fault, 'as recorded')
      return { kind: r.gone as 'removed' | 'mute' | 'timeout' }
    },
  }
}

function servicesOf(trace: Trace, take: Take): TransactionServices {
  const heard = <T>(answer: T | { fault: string }): T => {
    if (typeof answer === 'object' && answer !== null && 'fault' in answer)
      throw new PosternError(answer.fault, 'as recorded')
    return answer as T
  }
  return {
    forceOnline: trace.request.forceOnline,
    random(length) {
      const bytes = fromHex(take('random').bytes)
      return bytes.length === length ? bytes : new Uint8Array(length)
    },
    chooseApplication: async (names) =>
      heard(take('choose', { names: names.map(scrubPans) }).answer) ?? undefined,
    confirmApplication: async (name) => heard(take('confirm', { name: scrubPans(name) }).answer),
    preferLanguages: (codes) => void take('languages', { codes: [...codes] }),
    async enterPin({ online, triesLeft, wrong, bypassAllowed }): Promise<PinEntry> {
      const prompt = { online, triesLeft: triesLeft ?? null, wrong, bypassAllowed }
      const kind = heard(take('pin', prompt).answer)
      // Any digits do: what is made of them is blanked on both sides.
      return kind === 'entered' ? { kind, digits: ascii.encode('0000') } : { kind }
    },
    encryptPin: async () => ({ ksn: new Uint8Array(12), bytes: new Uint8Array(16) }),
    async cardHistory() {
      const { lastAmount, onExceptionFile } = take('history')
      return { lastAmountOfCard: BigInt(lastAmount), onExceptionFile }
    },
  }
}

function answerOf({ answer }: Of<'answer'>): HostAnswer {
  if (answer.kind === 'unableToGoOnline') return answer
  const { issuerAuthenticationData, scripts, ...rest } = answer
  return {
    ...rest,
    issuerAuthenticationData:
      issuerAuthenticationData === null ? undefined : fromHex(issuerAuthenticationData),
    scripts: scripts.map(fromHex),
  }
}
