// An acquirer at the end of a line: builds, authenticates and sends the messages, and believes only answers that fit.
import type { Clock } from '../../../hal/base/clock.js'
import { isPosternError } from '../../../hal/base/errors.js'
import type { Log } from '../../../hal/base/log.js'
import { CLOCK_SKEW_MS } from '../../bridge/gateway.js'
import type { MacKeys } from '../keys/terminal-keys.js'
import { answers, hostTotals, issuerData, namesKsn } from './acquirer-answers.js'
import { type AcquirerEntry, capabilitiesOf, dialectOf } from './acquirer-document.js'
import {
  adviceMessage,
  authoriseMessage,
  managementMessage,
  reversalMessage,
  totalsMessage,
  uploadMessage,
} from './acquirer-messages.js'
import type { Acquirer, BeforeSend, OriginalFacts } from './acquirer-port.js'
import type { Exchange, HostLine, Judgement, OnStray } from './host-line.js'
import { unpack } from './iso8583/codec.js'
import { fromFields, type HostMessage, toFields } from './iso8583/host-message.js'
import { packWithMac, splitMac } from './iso8583/mac.js'
import type { RoadKind } from './roads/road.js'

/** DE39: approved; approved for less. */
const APPROVED = '00'
const PARTLY_APPROVED = '10'
/** The original of a reversal is not known there. */
const NOT_FOUND = '25'
/** Answers to a reversal that end it: done, or nothing was there to reverse. */
const REVERSED_CODES: readonly string[] = ['00', '21', NOT_FOUND]
/** Answers to what the host is told of: it has it, now or from before (94). */
const ACKNOWLEDGED_CODES: readonly string[] = ['00', '94']
/** Answers of a host that cannot say just now (1987, table 8): asked again later. */
const TRY_LATER_CODES: readonly string[] = ['09', '19', '68', '90', '91', '92', '96']
/** Totals differ and the host wants the batch. */
const UPLOAD_WANTED = '95'
const NOT_FOUND_FINAL_AFTER_MS = 120_000

/**
 * When "original not found" ends a reversal that went by `road`: once the original can no longer arrive. At once where the
 * acquirer remembers reversed originals. An original that went through a gateway arrives no more once it has expired
 * there; a reversal by the same gateway came behind it, one by another road allows for the gateway's clock.
 */
function notFoundFinalAtMs(
  { reversals }: AcquirerEntry,
  { preparedAtMs, sentOver }: OriginalFacts,
  road: RoadKind | undefined,
): number {
  const afterMs = reversals?.notFoundFinalAfterMs ?? NOT_FOUND_FINAL_AFTER_MS
  if (afterMs === 0) return 0
  if (sentOver?.expiresAtMs === undefined) return preparedAtMs + afterMs
  return sentOver.expiresAtMs + (road === sentOver.road ? 0 : CLOCK_SKEW_MS)
}

/** The payment that a message is about, by trace number and time, the same in its reversal. */
function aboutOf(message: HostMessage | undefined): { subject: string; reversal: boolean } {
  const { stan = '', local = '', originalStan = '', originalLocal = '' } = message?.elements ?? {}
  const reversal = message?.type === 'reversal'
  return { subject: reversal ? `${originalStan} ${originalLocal}` : `${stan} ${local}`, reversal }
}

/** An answer that nothing waited for: late, double, or not ours. */
export interface Stray {
  readonly acquirer: string
  readonly mti: string
  readonly stan: number
}

export interface AcquirerClientDependencies {
  readonly entry: AcquirerEntry
  /** Makes the line to this acquirer, whatever its road. */
  readonly line: (onStray: OnStray) => HostLine
  readonly keys: MacKeys
  readonly clock: Clock
  readonly log: Log
  readonly onStray: (stray: Stray) => void
  /** DE39 of every answer that was believed, before it is acted on. */
  readonly onAnswered?: (responseCode: string) => void
}

/** An acquirer whose messages do not overlap: the service gives it one at a time. */
export interface AcquirerClient extends Acquirer {
  close(): void
}

export function createAcquirerClient(deps: AcquirerClientDependencies): AcquirerClient {
  const { entry, keys, clock, log } = deps
  const dialect = dialectOf(entry)
  const capabilities = capabilitiesOf(entry)
  const read = (bytes: Uint8Array): HostMessage => fromFields(dialect, unpack(dialect.wire, bytes))

  const line = deps.line((bytes) => {
    try {
      const wire = unpack(dialect.wire, bytes)
      const stray = {
        acquirer: entry.id,
        mti: wire.mti,
        stan: Number(fromFields(dialect, wire).elements.stan ?? 0),
      }
      log.warn('acquirer.stray', stray)
      deps.onStray(stray)
    } catch (error) {
      log.warn('acquirer.stray', {
        acquirer: entry.id,
        fault: isPosternError(error) ? error.code : 'FAULT',
      })
    }
  })

  function exchange(
    make: (macKsn: Uint8Array) => HostMessage,
    signal: AbortSignal,
    {
      beforeSend = () => undefined,
      fresh = false,
      prefer,
    }: { beforeSend?: BeforeSend; fresh?: boolean; prefer?: RoadKind | undefined } = {},
  ): Promise<Exchange<HostMessage>> {
    let request: HostMessage | undefined
    let ksn: Uint8Array | undefined
    return line.exchange<HostMessage>(
      {
        fresh,
        beforeSend,
        ...(prefer === undefined ? {} : { prefer }),
        about: () => aboutOf(request),
        async build() {
          const taken = await keys.nextRequestKsn()
          ksn = taken
          request = make(taken)
          return packWithMac(dialect.wire, toFields(dialect, request), (covered) =>
            keys.macRequest(taken, covered),
          )
        },
        async judge(bytes): Promise<Judgement<HostMessage>> {
          let answer: HostMessage
          try {
            answer = read(bytes)
          } catch {
            return { kind: 'unusable', cause: 'unreadable' }
          }
          if (request === undefined || ksn === undefined || !answers(request, answer))
            return { kind: 'stray' }
          const { covered, mac } = splitMac(dialect.wire, bytes)
          if (!namesKsn(answer, ksn) || !(await keys.verifyResponse(ksn, covered, mac)))
            return { kind: 'unusable', cause: 'badMac' }
          deps.onAnswered?.(codeOf(answer))
          return { kind: 'answer', value: answer }
        },
      },
      signal,
    )
  }
  const codeOf = ({ elements }: HostMessage) => elements.responseCode ?? ''

  /** What an answer to something that the host is only told means. */
  function toldResult(result: Exchange<HostMessage>) {
    if (result.kind === 'notSent') return result
    if (result.kind === 'unknown') return { kind: 'failed' as const, reason: result.cause }
    const responseCode = codeOf(result.value)
    const { retrievalReference } = result.value.elements
    if (ACKNOWLEDGED_CODES.includes(responseCode))
      return { kind: 'acknowledged' as const, responseCode, retrievalReference }
    return TRY_LATER_CODES.includes(responseCode)
      ? { kind: 'failed' as const, reason: `RESPONSE_${responseCode}` }
      : { kind: 'refused' as const, responseCode }
  }

  return {
    id: entry.id,
    terminalId: entry.terminalId,
    merchantId: entry.merchantId,
    currency: entry.currency,
    capabilities,
    close: () => line.close(),

    async authorise(request, beforeSend, signal) {
      const result = await exchange((ksn) => authoriseMessage(entry, request, ksn), signal, {
        beforeSend,
        fresh: true,
      })
      if (result.kind !== 'answered') return result
      const responseCode = codeOf(result.value)
      const { authorisationCode, retrievalReference, amountMinor } = result.value.elements
      const partly = responseCode === PARTLY_APPROVED
      // A partial approval that nobody asked for is taken back.
      if (partly && (request.partialAllowed !== true || amountMinor === undefined))
        return { kind: 'unknown', cause: 'unreadable' }
      try {
        return {
          kind: 'answered',
          approved: partly || responseCode === APPROVED,
          responseCode,
          ...(partly ? { approvedMinor: BigInt(amountMinor!) } : {}),
          authorisationCode,
          retrievalReference,
          ...issuerData(result.value),
        }
      } catch {
        return { kind: 'unknown', cause: 'unreadable' }
      }
    },

    async advise(request, beforeSend, signal) {
      return toldResult(await exchange((ksn) => adviceMessage(entry, request, ksn), signal, { beforeSend }))
    },

    async reverse(request, beforeSend, signal) {
      let road: RoadKind | undefined
      const result = await exchange((ksn) => reversalMessage(entry, request, ksn), signal, {
        beforeSend(over) {
          road = over?.road
          beforeSend(over)
        },
        prefer: request.original.sentOver?.road,
      })
      switch (result.kind) {
        case 'notSent':
          return result
        case 'unknown':
          return { kind: 'failed', reason: result.cause }
        case 'answered': {
          const responseCode = codeOf(result.value)
          if (!REVERSED_CODES.includes(responseCode))
            return { kind: 'failed', reason: `RESPONSE_${responseCode}` }
          return responseCode === NOT_FOUND &&
            clock.nowMs() < notFoundFinalAtMs(entry, request.original, road)
            ? { kind: 'failed', reason: 'NOT_FOUND_YET' }
            : { kind: 'acknowledged', responseCode }
        }
      }
    },

    async compareTotals(request, signal) {
      const result = await exchange((ksn) => totalsMessage(entry, request, ksn), signal)
      switch (result.kind) {
        case 'notSent':
          return result
        case 'unknown':
          return { kind: 'failed', reason: result.cause }
        case 'answered': {
          const responseCode = codeOf(result.value)
          const { settlement } = result.value.elements
          if (settlement === 'inBalance') return { kind: 'agrees' }
          return settlement === 'outOfBalance'
            ? {
                kind: 'differs',
                host: hostTotals(result.value),
                responseCode,
                uploadWanted: capabilities.upload && responseCode === UPLOAD_WANTED,
              }
            : { kind: 'failed', reason: `RESPONSE_${responseCode}` }
        }
      }
    },

    async upload(request, signal) {
      return toldResult(await exchange((ksn) => uploadMessage(entry, request, ksn), signal))
    },

    async manage({ kind, stan, atMs }, signal) {
      const result = await exchange((ksn) => managementMessage(entry, kind, stan, atMs, ksn), signal)
      if (result.kind === 'notSent') return result
      if (result.kind === 'unknown') return { kind: 'failed', reason: result.cause }
      const responseCode = codeOf(result.value)
      return responseCode === APPROVED
        ? { kind: 'done', keyBlock: result.value.elements.keyBlock }
        : { kind: 'refused', responseCode }
    },
  }
}
