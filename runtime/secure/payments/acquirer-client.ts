// An acquirer at the end of a road: builds, authenticates and sends the messages, and believes only answers that fit.
import type { Clock } from '../../../hal/base/clock.js'
import { isPosternError } from '../../../hal/base/errors.js'
import type { Log } from '../../../hal/base/log.js'
import type { MacKeys } from '../keys/terminal-keys.js'
import type { AcquirerEntry } from './acquirer-document.js'
import {
  answerFacts,
  answers,
  hostTotals,
  issuerData,
  namesKsn,
  reversalMessage,
  saleMessage,
  strayFacts,
  totalsMessage,
} from './acquirer-messages.js'
import type { Acquirer, BeforeSend } from './acquirer-port.js'
import { createHostLine, type Exchange, type Judgement } from './host-line.js'
import { type Message, unpack } from './iso8583/codec.js'
import {
  APPROVED_CODES,
  POSTERN_DEV,
  REVERSED_CODES,
  SETTLEMENT_CODES,
} from './iso8583/dialects/postern-dev.js'
import { packWithMac, splitMac } from './iso8583/mac.js'
import type { Road } from './roads/road.js'

/** DE39: the original of a reversal is not known there. */
const NOT_FOUND = '25'
const CONNECT_MS = 15_000
const HOST_MS = 45_000
const LINGER_MS = 5_000
const NOT_FOUND_FINAL_AFTER_MS = 120_000

/** An answer that nothing waited for: late, double, or not ours. */
export interface Stray {
  readonly acquirer: string
  readonly mti: string
  readonly stan: number
}

export interface AcquirerClientDependencies {
  readonly entry: AcquirerEntry
  readonly road: Road
  readonly keys: MacKeys
  readonly clock: Clock
  readonly log: Log
  readonly onStray: (stray: Stray) => void
}

/** The time to an authenticated session, for the road. */
export const connectTimeoutMs = (entry: AcquirerEntry) => entry.timeouts?.connectMs ?? CONNECT_MS

/** An acquirer whose messages do not overlap: the service gives it one at a time. */
export interface AcquirerClient extends Acquirer {
  close(): void
}

/** What this dialect has no message for. */
const NOT_IN_DIALECT = { kind: 'notSent', reason: 'NOT_IN_DIALECT' } as const

export function createAcquirerClient(deps: AcquirerClientDependencies): AcquirerClient {
  const { entry, keys, clock, log } = deps
  const line = createHostLine(
    deps.road,
    entry.tpdu,
    {
      hostMs: entry.timeouts?.hostMs ?? HOST_MS,
      lingerMs: entry.timeouts?.lingerMs ?? LINGER_MS,
    },
    clock,
    (bytes) => {
      try {
        const { mti, stan } = strayFacts(unpack(POSTERN_DEV, bytes))
        log.warn('acquirer.stray', { acquirer: entry.id, mti, stan })
        deps.onStray({ acquirer: entry.id, mti, stan })
      } catch (error) {
        log.warn('acquirer.stray', {
          acquirer: entry.id,
          fault: isPosternError(error) ? error.code : 'FAULT',
        })
      }
    },
  )

  function exchange(
    make: (macKsn: Uint8Array) => Message,
    beforeSend: BeforeSend,
    fresh: boolean,
    signal: AbortSignal,
  ): Promise<Exchange<Message>> {
    let request: Message | undefined
    let ksn: Uint8Array | undefined
    return line.exchange<Message>(
      {
        fresh,
        beforeSend,
        async build() {
          const taken = await keys.nextRequestKsn()
          ksn = taken
          request = make(taken)
          return packWithMac(POSTERN_DEV, request, (covered) => keys.macRequest(taken, covered))
        },
        async judge(bytes): Promise<Judgement<Message>> {
          let answer: Message
          try {
            answer = unpack(POSTERN_DEV, bytes)
          } catch {
            return { kind: 'unusable', cause: 'unreadable' }
          }
          if (request === undefined || ksn === undefined || !answers(request, answer))
            return { kind: 'stray' }
          const { covered, mac } = splitMac(bytes)
          return namesKsn(answer, ksn) && (await keys.verifyResponse(ksn, covered, mac))
            ? { kind: 'answer', value: answer }
            : { kind: 'unusable', cause: 'badMac' }
        },
      },
      signal,
    )
  }

  return {
    id: entry.id,
    terminalId: entry.terminalId,
    merchantId: entry.merchantId,
    currency: entry.currency,
    capabilities: {
      refund: false,
      preauth: false,
      partial: false,
      tip: false,
      cashback: false,
      manualEntry: false,
      upload: false,
      ...(entry.offlineFloorMinor === undefined
        ? {}
        : { offlineFloorMinor: BigInt(entry.offlineFloorMinor) }),
      ...(entry.offlineLimits === undefined ? {} : { offlineLimits: entry.offlineLimits }),
    },
    close: () => line.close(),

    async authorise(request, beforeSend, signal) {
      if (request.facts.kind !== 'sale') return NOT_IN_DIALECT
      const result = await exchange((ksn) => saleMessage(entry, request, ksn), beforeSend, true, signal)
      if (result.kind !== 'answered') return result
      const { responseCode, authorisationCode, retrievalReference } = answerFacts(result.value)
      // NOTE: partial approvals are not asked for (DE60 of other dialects): one that comes all the same is taken back.
      if (responseCode === '10') return { kind: 'unknown', cause: 'unreadable' }
      try {
        return {
          kind: 'answered',
          approved: APPROVED_CODES.includes(responseCode),
          responseCode,
          authorisationCode,
          retrievalReference,
          ...issuerData(result.value),
        }
      } catch {
        return { kind: 'unknown', cause: 'unreadable' }
      }
    },

    async reverse(request, beforeSend, signal) {
      const result = await exchange((ksn) => reversalMessage(entry, request, ksn), beforeSend, false, signal)
      switch (result.kind) {
        case 'notSent':
          return result
        case 'unknown':
          return { kind: 'failed', reason: result.cause }
        case 'answered': {
          const { responseCode } = answerFacts(result.value)
          if (!REVERSED_CODES.includes(responseCode))
            return { kind: 'failed', reason: `RESPONSE_${responseCode}` }
          const finalAfterMs = entry.reversals?.notFoundFinalAfterMs ?? NOT_FOUND_FINAL_AFTER_MS
          const ageMs = clock.nowMs() - request.original.preparedAtMs
          return responseCode === NOT_FOUND && ageMs < finalAfterMs
            ? { kind: 'failed', reason: 'NOT_FOUND_YET' }
            : { kind: 'acknowledged', responseCode }
        }
      }
    },

    async compareTotals(request, signal) {
      const result = await exchange(
        (ksn) => totalsMessage(entry, request, ksn),
        () => undefined,
        false,
        signal,
      )
      switch (result.kind) {
        case 'notSent':
          return result
        case 'unknown':
          return { kind: 'failed', reason: result.cause }
        case 'answered': {
          const { settlementCode, responseCode } = answerFacts(result.value)
          if (settlementCode === SETTLEMENT_CODES.inBalance) return { kind: 'agrees' }
          return settlementCode === SETTLEMENT_CODES.outOfBalance
            ? { kind: 'differs', host: hostTotals(result.value), responseCode, uploadWanted: false }
            : { kind: 'failed', reason: `RESPONSE_${responseCode}` }
        }
      }
    },
    advise: async () => NOT_IN_DIALECT,
    upload: async () => NOT_IN_DIALECT,
    manage: async () => NOT_IN_DIALECT,
  }
}
