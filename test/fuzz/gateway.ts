// Fuzz of the gateway's envelopes, both ends: what a terminal takes for an answer, and what a gateway takes for a request.
import { checker } from '../../runtime/api/contract.js'
import {
  GatewayAnswer,
  type GatewayRequest,
  GatewayRequest as RequestSchema,
} from '../../runtime/bridge/gateway.js'
import { createGatewayLine } from '../../runtime/secure/payments/roads/gateway-road.js'
import { createGateway } from '../../scripts/dev/gateway/gateway.js'
import { forgetfulMemory } from '../../scripts/dev/gateway/reversed-memory.js'
import { choicesOf } from './support/choices.js'

const NOW = 1_800_000_000_000
const SIGNAL = new AbortController().signal
const clock = { nowMs: () => NOW, monotonicMs: () => 0, sleep: () => new Promise<void>(() => undefined) }
const ID = `dev-${'05'.repeat(12)}`
const VALUES: readonly unknown[] = [
  ID,
  'dev-0',
  '',
  'answered',
  'refused',
  'expired',
  'AAEC',
  'A===',
  'A'.repeat(12_001),
  null,
  true,
  -1,
  NOW + 1000,
  NOW + 10_000_000,
  Number.MAX_SAFE_INTEGER,
  1e308,
  [],
  {},
  [ID],
  { toString: 1 },
  '\ud800',
  'TERM0001',
  'dev',
]
const NAMES = [
  'id',
  'kind',
  'payload',
  'reason',
  'acquirer',
  'terminalId',
  'subject',
  'reversal',
  'expiresAtMs',
  '__proto__',
  'x',
]

const REQUEST: GatewayRequest = {
  id: ID,
  acquirer: 'dev',
  terminalId: 'TERM0001',
  subject: '000042 261122064501',
  reversal: false,
  expiresAtMs: NOW + 1000,
  payload: 'AAEC',
}

/** An envelope with members changed, as JSON would bring it; or any JSON at all. */
function envelope(bytes: Uint8Array, seed: number): unknown {
  const choices = choicesOf(bytes)
  const base: Record<string, unknown> =
    seed % 3 === 0
      ? { ...REQUEST }
      : seed % 3 === 1
        ? { id: ID, kind: 'answered', payload: 'AAEC' }
        : { id: ID, kind: 'refused', reason: 'expired' }
  for (let change = 0; choices.left && change < 6; change++) {
    const name = choices.pick(NAMES)
    const how = choices.below(4)
    if (how === 0) delete base[name]
    else if (how === 1) base[name] = Buffer.from(choices.bytes(choices.below(24))).toString('latin1')
    else base[name] = choices.pick(VALUES)
  }
  if (seed % 11 !== 0) return base
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return choices.pick(VALUES)
  }
}

const isAnswer = checker(GatewayAnswer)
const isRequest = checker(RequestSchema)

/** What the terminal makes of it while it waits for an answer. */
async function atTerminal(message: unknown): Promise<string> {
  let tell: (message: unknown) => void = () => undefined
  let strays = 0
  const line = createGatewayLine(
    {
      transport: {
        connected: () => true,
        send: async () => {
          tell(message)
          tell(message)
          tell({ id: ID, kind: 'refused', reason: 'expired' })
        },
        onMessage(listener) {
          tell = listener
          return () => undefined
        },
        onState: () => () => undefined,
      },
      acquirer: 'dev',
      terminalId: 'TERM0001',
      hostMs: 1000,
      random: (length) => new Uint8Array(length).fill(5),
      clock,
    },
    () => void strays++,
  )
  const answer = await line.exchange<number>(
    {
      fresh: true,
      build: async () => new Uint8Array(3),
      beforeSend: () => undefined,
      judge: async (bytes) => ({ kind: 'answer', value: bytes.length }),
    },
    SIGNAL,
  )
  line.close()
  if (answer.kind === 'notSent') throw new Error('what was handed over is not "not sent"')
  if (answer.kind === 'answered' && isAnswer(message) !== undefined)
    throw new Error('an answer was believed that is none')
  if (strays > 2) throw new Error('more strays than messages')
  return `terminal ${answer.kind} ${strays}`
}

/** What the gateway makes of it, twice, and once more after its reversal. */
async function atGateway(message: unknown): Promise<string> {
  let forwarded = 0
  const answers: string[] = []
  const gateway = createGateway({
    clock,
    reversed: forgetfulMemory(),
    answer: (answer) => {
      const fault = isAnswer(answer)
      if (fault !== undefined) throw new Error(`the gateway said what is no answer: ${fault}`)
      answers.push(answer.kind)
    },
    forward: async (_request, bytes, reply) => {
      forwarded++
      if (bytes.length > 9000) throw new Error('a message out of bounds was forwarded')
      reply(bytes)
    },
  })
  await gateway.take(message)
  const first = forwarded
  await gateway.take({ ...REQUEST, ...(message as object), reversal: true })
  const before = forwarded
  await gateway.take(message)
  if (isRequest(message) !== undefined) {
    if (first > 0) throw new Error('what is no envelope was forwarded')
    return 'gateway dropped'
  }
  const { reversal } = message as GatewayRequest
  if (!reversal && forwarded > before) throw new Error('a reversed original was forwarded')
  return `gateway ${answers.join(' ')}`
}

export const target = {
  name: 'gateway',
  async run(bytes: Uint8Array, seed: number): Promise<string> {
    const message = envelope(bytes, seed)
    return seed % 2 === 0 ? atTerminal(message) : atGateway(message)
  },
}
