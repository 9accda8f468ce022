// Fuzz of what comes out of an acquirer's TLS session: frames, answers and strays in pieces, into the real client and its line.
import { Duplex } from 'node:stream'
import { isPosternError } from '../../hal/base/errors.js'
import { silentLog } from '../../hal/base/log.js'
import { createAcquirerClient } from '../../runtime/secure/payments/acquirer-client.js'
import type { AcquirerEntry } from '../../runtime/secure/payments/acquirer-document.js'
import { createHostLine } from '../../runtime/secure/payments/host-line.js'
import {
  DIALECT_NAMES,
  type DialectName,
  hostDialect,
} from '../../runtime/secure/payments/iso8583/dialects/host-dialects.js'
import { type Framing, frame } from '../../runtime/secure/payments/iso8583/framing.js'
import { toFields } from '../../runtime/secure/payments/iso8583/host-message.js'
import { packWithMac } from '../../runtime/secure/payments/iso8583/mac.js'
import { AT_MS, answerTo, card, facts, KSN, REQUESTS, TOTALS } from './support/host-messages.js'
import { changed } from './support/iso8583-dialect.js'

const SIGNAL = new AbortController().signal
const TPDU = { destination: 1, source: 2 }
const FRAMINGS: readonly Framing[] = [
  { length: 'binary', tpdu: true },
  { length: 'bcd', tpdu: true },
  { length: 'ascii', tpdu: false },
]
const MAX_STRAYS = 64
const KINDS = [
  'notSent',
  'answered',
  'unknown',
  'acknowledged',
  'refused',
  'failed',
  'agrees',
  'differs',
  'done',
]

/** Time that stands still: the stream's end is what ends an exchange. */
const clock = { nowMs: () => AT_MS, monotonicMs: () => 0, sleep: () => new Promise<void>(() => undefined) }

const make = async (dialect: DialectName, framing: Framing) => {
  const entry: AcquirerEntry = {
    id: 'acquirer',
    tpdu: TPDU,
    framing,
    nii: '001',
    terminalId: 'TERM0001',
    merchantId: 'MERCHANT1',
    dialect,
    currency: 'EUR',
    capabilities: { upload: true },
  }
  const host = hostDialect(dialect)
  /** Of a sale, a reversal, totals and a key exchange. */
  const answers = await Promise.all(
    REQUESTS.map((request) =>
      packWithMac(host.wire, toFields(host, answerTo(request)), async () => new Uint8Array(8)),
    ),
  )
  let incoming: readonly Uint8Array[] = []
  let strays = 0
  const client = createAcquirerClient({
    entry,
    line: (onStray) =>
      createHostLine(
        {
          open: async () =>
            new Duplex({
              read() {
                for (const piece of incoming) this.push(piece)
                this.push(null)
              },
              write: (_chunk, _encoding, done) => done(),
            }),
        },
        { tpdu: TPDU, framing },
        { hostMs: 1, lingerMs: 0 },
        clock,
        onStray,
      ),
    // Whoever made the bytes had the keys: what lies behind the MAC is reached.
    keys: {
      nextRequestKsn: async () => KSN.slice(),
      macRequest: async () => new Uint8Array(8),
      verifyResponse: async () => true,
    },
    clock,
    log: silentLog,
    onStray: () => void strays++,
  })
  const asks: readonly (() => Promise<{ readonly kind: string }>)[] = [
    () =>
      client.authorise({ facts: facts('sale'), card: card(), partialAllowed: true }, () => undefined, SIGNAL),
    () =>
      client.reverse(
        { original: facts('sale'), stan: 43, atMs: AT_MS, cause: 'timeout', repeat: false },
        () => undefined,
        SIGNAL,
      ),
    () =>
      client.compareTotals(
        { batch: 7, stan: 44, atMs: AT_MS, utcOffsetMin: 60, currency: 'EUR', totals: TOTALS },
        SIGNAL,
      ),
    () => client.manage({ kind: 'keyExchange', stan: 45, atMs: AT_MS }, SIGNAL),
  ]
  const wanted = ['financial', 'reversal', 'totals', 'network'].map((type) =>
    REQUESTS.findIndex((request) => request.type === type),
  )
  return async (bytes: Uint8Array, seed: number): Promise<string> => {
    const which = seed % asks.length
    const answer = answers[seed % 5 === 0 ? seed % answers.length : wanted[which]!]!
    const whole = frame(TPDU, answer, framing)
    const stream =
      seed % 16 === 1
        ? bytes
        : seed % 3 === 0
          ? changed(whole, bytes)
          : frame(TPDU, changed(answer, bytes), framing)
    const size = 1 + (seed % 97)
    incoming = Array.from({ length: Math.min(Math.ceil(stream.length / size), 64) }, (_, n) =>
      stream.subarray(n * size, (n + 1) * size),
    )
    strays = 0
    const { kind } = await asks[which]!()
    if (!KINDS.includes(kind)) throw new Error(`an answer of no known kind: ${kind}`)
    if (strays > MAX_STRAYS) throw new Error('more strays than a stream can hold')
    return `${which} ${kind}`
  }
}

const runs = await Promise.all(
  DIALECT_NAMES.flatMap((dialect) => FRAMINGS.map((framing) => make(dialect, framing))),
)

export const target = {
  name: 'tls-payload',
  async run(bytes: Uint8Array, seed: number): Promise<string> {
    const of = (seed >> 6) % runs.length
    try {
      return `${of} ${await runs[of]!(bytes, seed)}`
    } catch (error) {
      // The service takes a typed fault for "not known".
      if (!isPosternError(error)) throw error
      return error.code
    }
  },
}
