// Recording a transaction at the kernel's edge: exchanges, random numbers, answers of people and records, and what came out.
import { erase, toHex } from '../../../../hal/base/bytes.js'
import { sha256 } from '../../../../hal/base/ciphers.js'
import { isPosternError } from '../../../../hal/base/errors.js'
import { scrubPans } from '../../../../hal/base/log.js'
import type { ChipCardSession } from '../../../../hal/chip-card-reader.js'
import type { HostAnswer } from '../../card-transaction.js'
import { type CardEnd, isEnd } from '../card-end.js'
import { buildDe55 } from '../card-facts.js'
import type { SecondResult } from '../completion.js'
import type { EmvConfiguration } from '../configuration.js'
import type { FirstResult } from '../first-cryptogram.js'
import type { SignatureJudge } from '../signature-judge.js'
import { type CardLink, transmitCommand } from '../t0-tpdu.js'
import type { TransactionRequest } from '../terminal-data.js'
import type { TransactionServices } from '../transaction.js'
import type { TransactionData } from '../transaction-data.js'
import type { CardChannel } from '../transport.js'
import { plain, TRACE_FORMAT, type Trace, type TraceEvent, type TraceOutcome } from './trace.js'
import { maskExchanges, type RawExchange, withoutPin } from './trace-mask.js'
import { withoutScriptPins } from './trace-scripts.js'

/** Bytes or a later text: masked before anything becomes text. */
type Raw =
  | { readonly kind: 'event'; readonly event: TraceEvent }
  | (RawExchange & {
      readonly kind: 'exchange'
      readonly group: number
      readonly gone?: string | { fault: string }
    })
  | { readonly kind: 'outcome'; readonly outcome: TraceOutcome; readonly de55: Uint8Array }
  | { readonly kind: 'answer'; readonly answer: HostAnswer; readonly scripts: readonly Uint8Array[] }
  | { readonly kind: 'judged'; readonly step: string; readonly result: unknown }

/** Records one transaction; `finish` gives the masked trace and erases the rest. */
export interface TraceRecorder {
  readonly judge: SignatureJudge
  /** The link to the session's card; whole APDUs go through it. */
  session(session: ChipCardSession): CardLink
  channel(channel: CardChannel): CardChannel
  services(services: TransactionServices): TransactionServices
  /** Runs the kernel's first or second part, and notes how it ended. */
  run<T extends FirstResult | SecondResult>(
    data: TransactionData,
    part: () => Promise<T | CardEnd>,
  ): Promise<T | CardEnd>
  answer(answer: HostAnswer): void
  /** Undefined where nothing passed between kernel and card. */
  finish(): Trace | undefined
}

const INS_VERIFY = 0x20

const faultOf = (error: unknown) => ({ fault: isPosternError(error) ? error.code : 'FAULT' })

export function recordTransaction(
  configuration: EmvConfiguration,
  request: TransactionRequest,
  forceOnline: boolean,
): TraceRecorder {
  const raw: Raw[] = []
  let group = -1
  /** A PIN was typed and VERIFY has not been sent: what is drawn now enciphers it. */
  let sealing = false
  let card: Pick<ChipCardSession, 'atr' | 'protocol'> | undefined
  const note = (event: TraceEvent) => void raw.push({ kind: 'event', event })

  /** Notes what a prompt came to, also where it gave nothing. */
  async function heard<T>(
    asked: Promise<T>,
    make: (answer: T | { fault: string }) => TraceEvent,
  ): Promise<T> {
    try {
      const answer = await asked
      note(make(answer))
      return answer
    } catch (error) {
      note(make(faultOf(error)))
      throw error
    }
  }

  return {
    judge(step, check) {
      const result = check()
      raw.push({ kind: 'judged', step, result })
      return result
    },
    session(session) {
      card = session
      return {
        protocol: session.protocol,
        async transmit(command, options) {
          if (command[1] === INS_VERIFY) sealing = false
          const sent = { kind: 'exchange', group, command: withoutPin(command) } as const
          const nothing = new Uint8Array()
          try {
            const outcome = await transmitCommand(session, command, options)
            if (outcome.kind === 'response') raw.push({ ...sent, response: Uint8Array.from(outcome.bytes) })
            else raw.push({ ...sent, response: nothing, gone: outcome.kind })
            return outcome
          } catch (error) {
            raw.push({ ...sent, response: nothing, gone: faultOf(error) })
            throw error
          }
        },
      }
    },
    channel: (channel) => ({
      exchange(command) {
        group++
        return channel.exchange(command)
      },
    }),
    services: (services) => ({
      ...services,
      random(length) {
        const bytes = services.random(length)
        // With the padding or the ephemeral key, whoever overheard the card could try all PINs: others are noted.
        note({ kind: 'random', bytes: toHex(sealing ? services.random(length) : bytes) })
        return bytes
      },
      chooseApplication: (names) =>
        heard(services.chooseApplication(names), (answer) => ({
          kind: 'choose',
          names: names.map(scrubPans),
          answer: answer ?? null,
        })),
      confirmApplication: (name) =>
        heard(services.confirmApplication(name), (answer) => ({
          kind: 'confirm',
          name: scrubPans(name),
          answer,
        })),
      preferLanguages(codes) {
        note({ kind: 'languages', codes: [...codes] })
        services.preferLanguages(codes)
      },
      enterPin: (prompt) =>
        heard(services.enterPin(prompt), (answer) => {
          const { online, triesLeft = null, wrong, bypassAllowed } = prompt
          const kind = 'kind' in answer ? answer.kind : answer
          sealing = !online && kind === 'entered'
          return { kind: 'pin', online, triesLeft, wrong, bypassAllowed, answer: kind }
        }),
      async cardHistory(data) {
        const history = await services.cardHistory(data)
        const { lastAmountOfCard, onExceptionFile } = history
        note({ kind: 'history', lastAmount: lastAmountOfCard.toString(), onExceptionFile })
        return history
      },
    }),
    async run(data, part) {
      try {
        const result = await part()
        raw.push({ kind: 'outcome', ...outcomeOf(data, result) })
        return result
      } catch (error) {
        raw.push({ kind: 'outcome', outcome: { kind: 'fault', ...faultOf(error) }, de55: new Uint8Array() })
        throw error
      }
    },
    answer(answer) {
      const scripts = answer.kind === 'answered' ? answer.scripts.map(withoutScriptPins) : []
      raw.push({ kind: 'answer', answer, scripts })
    },
    finish() {
      if (card === undefined || raw.length === 0) return undefined
      maskAll(raw)
      const trace: Trace = {
        format: TRACE_FORMAT,
        configurationDigest: toHex(sha256(Buffer.from(JSON.stringify(plain(configuration)), 'utf8'))),
        configuration: plain({ ...configuration, caKeys: [], revoked: new Set() }),
        protocol: card.protocol,
        atr: toHex(card.atr),
        request: {
          type: request.type,
          minor: request.amount.minor.toString(),
          otherMinor: (request.otherAmount?.minor ?? 0n).toString(),
          currency: request.amount.currency,
          sequence: request.sequence,
          at: localTime(request.at),
          forceOnline,
        },
        events: raw.map(eventOf),
      }
      for (const item of raw) if (item.kind === 'exchange') erase(item.command, item.response)
      raw.length = 0
      return trace
    },
  }
}

function maskAll(raw: readonly Raw[]): void {
  const groups = new Map<number, RawExchange[]>()
  const others: Uint8Array[] = []
  for (const item of raw) {
    if (item.kind === 'exchange') groups.set(item.group, [...(groups.get(item.group) ?? []), item])
    else if (item.kind === 'outcome') others.push(item.de55)
    else if (item.kind === 'answer') others.push(...item.scripts)
  }
  maskExchanges([...groups.values()], others)
}

function eventOf(item: Raw): TraceEvent {
  switch (item.kind) {
    case 'event':
      return item.event
    case 'exchange': {
      const { command, response, gone } = item
      const left = typeof gone === 'string' ? { gone } : gone
      return { kind: 'apdu', c: toHex(command), r: left ?? toHex(response) }
    }
    case 'judged':
      return { kind: 'judged', step: item.step, result: plain(judgement(item.result)) ?? null }
    case 'outcome':
      return {
        kind: 'outcome',
        outcome: 'de55' in item.outcome ? { ...item.outcome, de55: toHex(item.de55) } : item.outcome,
      }
    case 'answer': {
      const { answer, scripts } = item
      if (answer.kind === 'unableToGoOnline')
        return { kind: 'answer', answer: { kind: 'unableToGoOnline', decline: answer.decline === true } }
      const { responseCode, approved, issuerAuthenticationData } = answer
      return {
        kind: 'answer',
        answer: {
          kind: 'answered',
          responseCode,
          approved,
          issuerAuthenticationData: issuerAuthenticationData ? toHex(issuerAuthenticationData) : null,
          scripts: scripts.map(toHex),
        },
      }
    }
  }
}

/** An RSA key is told by its length alone: with the real one, what it signed could be opened. */
function judgement(result: unknown): unknown {
  if (typeof result !== 'object' || result === null || result instanceof Uint8Array) return result
  if ('modulus' in result && result.modulus instanceof Uint8Array)
    return { modulus: result.modulus.map(() => 0xff), exponent: Uint8Array.of(3) }
  return Object.fromEntries(Object.entries(result).map(([key, part]) => [key, judgement(part)]))
}

/** What the kernel says, for the trace and for its replay. */
export function outcomeOf(
  data: TransactionData,
  result: FirstResult | SecondResult | CardEnd,
): { readonly outcome: TraceOutcome; readonly de55: Uint8Array } {
  if (isEnd(result))
    return { outcome: { kind: 'ended', reason: result.reason, rule: result.rule }, de55: new Uint8Array() }
  const { adviceRequired, cryptogramType } = result
  if (result.kind === 'second') {
    const { approved, offline, cardSaidNo } = result
    return {
      outcome: { kind: 'second', approved, offline, cardSaidNo, adviceRequired, cryptogramType, de55: '' },
      de55: buildDe55(data, result),
    }
  }
  const { decision, reason, name, cvm, oda } = result
  return {
    outcome: {
      kind: 'first',
      decision,
      reason,
      application: scrubPans(name),
      cvm: cvm.cvm,
      signatureRequired: cvm.signatureRequired,
      adviceRequired,
      cryptogramType,
      oda: oda.failure === undefined ? oda.method : `${oda.method}: ${oda.failure}`,
      de55: '',
    },
    de55: buildDe55(data),
  }
}

function localTime(at: Date): string {
  const two = (value: number) => value.toString().padStart(2, '0')
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}
