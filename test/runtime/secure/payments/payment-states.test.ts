// The table of states, and a model of terminal, wire and host that is searched to its end: every interleaving of two
// payments, their reversals, a void, an offline approval with its advice, a referral, what a person ends, restarts,
// lost and late and double messages, and the close of the round.
import t from 'tap'
import {
  BOOKED_STATES,
  LIVE_STATES,
  next,
  OWED_STATES,
  PAYMENT_INPUTS,
  PAYMENT_STATES,
  type PaymentInput,
  type PaymentState,
  STANDING_STATES,
  TRANSITIONS,
} from '../../../../runtime/secure/payments/payment-states.js'

type Table = typeof TRANSITIONS

/** One payment in the model. `-` it has not begun. */
interface Payment {
  readonly state: PaymentState | '-'
  /** What the running process knows and a restart forgets: may it send, does it wait for the answer. */
  readonly volatile: '' | 'maySend' | 'waits'
  readonly told: '' | 'approved' | 'voided'
  readonly voiding: boolean
  /** The card's last word. */
  readonly card: '' | 'yes' | 'no'
  readonly host: '' | 'approved' | 'declined' | 'referred' | 'refused' | 'gone'
  /** An advice may have left: durable before the first byte. */
  readonly advised: boolean
  /** In flight: 0200, 0210 yes, no or "call", 0220, 0230 booked or not, 0400, 0410; each at most once, lost or doubled. */
  readonly wire: readonly (
    | 'ask'
    | 'yes'
    | 'no'
    | 'call'
    | 'advise'
    | 'booked'
    | 'refused'
    | 'reverse'
    | 'reversed'
  )[]
}
/** What a payment of the model may meet beside the plain sale. */
interface Kind {
  readonly offline?: boolean
  readonly referral?: boolean
}
interface World {
  readonly payments: readonly Payment[]
  readonly closed: '' | 'agrees' | 'differs'
}

const FRESH: Payment = {
  state: '-',
  volatile: '',
  told: '',
  voiding: false,
  card: '',
  host: '',
  advised: false,
  wire: [],
}
const includes = (list: readonly string[], value: string) => list.includes(value)
const put = (wire: Payment['wire'], message: Payment['wire'][number]): Payment['wire'] =>
  wire.includes(message) ? wire : [...wire, message].sort()
const drop = (wire: Payment['wire'], message: string): Payment['wire'] => wire.filter((m) => m !== message)

const ANSWERS = { yes: 'hostApproved', no: 'hostDeclined', call: 'hostReferred' } as const

/** Everything that can happen next in `world`, by the given table. */
function* moves(world: World, table: Table, kinds: readonly Kind[]): Generator<World> {
  const change = (i: number, payment: Payment, rest: Partial<World> = {}): World => ({
    ...world,
    ...rest,
    payments: world.payments.map((p, at) => (at === i ? payment : p)),
  })
  const step = (p: Payment, input: PaymentInput, also: Partial<Payment> = {}): Payment | undefined => {
    const to = p.state === '-' ? undefined : table[p.state][input]
    return to === undefined ? undefined : { ...p, state: to, ...also }
  }
  const anyLive = world.payments.some(({ state }) => includes(LIVE_STATES, state))
  const anyOwed = world.payments.some(({ state }) => includes(OWED_STATES, state))

  const adviceOwed = world.payments.some(({ state }) => state === 'ADVICE_PENDING')

  for (const [i, p] of world.payments.entries()) {
    const kind = kinds[i]!
    const own: (Payment | undefined)[] = []
    // The terminal's own acts.
    if (p.state === '-' && !anyLive && world.closed === '') own.push({ ...p, state: 'CREATED' })
    if (p.state === 'CREATED') {
      own.push(step(p, 'prepared'), step(p, 'endedBeforeSending'), step(p, 'cardDeclined'))
    }
    if (p.state === 'PREPARED') {
      own.push(step(p, 'endedBeforeSending'))
      if (!anyOwed) own.push(step(p, 'sending', { volatile: 'maySend' }))
    }
    if (kind.offline && (p.state === 'CREATED' || p.state === 'PREPARED'))
      own.push(step(p, 'offlineApproved', { card: 'yes' }))
    if (p.state === 'REFERRED') own.push(step(p, 'voiceApproved', { card: 'yes' }), step(p, 'voiceRefused'))
    if (p.state === 'OFFLINE_APPROVED') own.push(step(p, 'completed', { told: 'approved' }))
    if (p.state === 'ADVICE_PENDING') {
      own.push({ ...p, advised: true, wire: put(p.wire, 'advise') })
      if (!p.advised && !anyLive) own.push(step(p, 'voidedUnsent', { voiding: true, told: 'voided' }))
    }
    // A person: has it sent again, once the bank was told to take it, or ends it.
    if (p.state === 'ADVICE_REFUSED')
      own.push(step(p, 'adviceRetried', p.host === 'refused' ? { host: '' } : {}))
    if (p.state === 'ADVICE_REFUSED' || p.state === 'REVERSAL_STUCK') own.push(step(p, 'endedByOperator'))
    if (p.volatile === 'maySend') own.push({ ...p, volatile: 'waits', wire: put(p.wire, 'ask') })
    if (p.state === 'SENT') own.push(step(p, 'answerUnknown', { volatile: '' }))
    if (p.state === 'APPROVED') {
      own.push(step(p, 'cardApproved', { card: 'yes' }), step(p, 'cardNotFinal', { card: 'no' }))
    }
    if (p.state === 'CARD_FINAL') own.push(step(p, 'completed', { told: 'approved' }))
    if ((p.state === 'COMPLETED' || p.state === 'ADVISED') && !anyLive)
      own.push(step(p, 'voided', { voiding: true }))
    if (includes(OWED_STATES, p.state)) {
      own.push({ ...p, wire: put(p.wire, 'reverse') })
      own.push(step(p, 'reversalFailing'))
    }
    // The host.
    if (p.wire.includes('ask')) {
      const wire = drop(p.wire, 'ask')
      if (p.host === '') {
        own.push({ ...p, host: 'approved', wire: put(wire, 'yes') })
        own.push({ ...p, host: 'declined', wire: put(wire, 'no') })
        if (kind.referral) own.push({ ...p, host: 'referred', wire: put(wire, 'call') })
      } else {
        const again = p.host === 'approved' ? 'yes' : p.host === 'referred' ? 'call' : 'no'
        own.push({ ...p, wire: put(wire, again) })
      }
    }
    if (p.wire.includes('advise')) {
      const wire = drop(p.wire, 'advise')
      if (p.host === '' || p.host === 'referred') {
        own.push({ ...p, host: 'approved', wire: put(wire, 'booked') })
        own.push({ ...p, host: 'refused', wire: put(wire, 'refused') })
      } else own.push({ ...p, wire: put(wire, p.host === 'approved' ? 'booked' : 'refused') })
    }
    if (p.wire.includes('reverse')) {
      const host = p.host === 'declined' || p.host === 'referred' ? p.host : 'gone'
      own.push({ ...p, host, wire: put(drop(p.wire, 'reverse'), 'reversed') })
    }
    // Answers arrive: in time, or late and then ignored.
    for (const answer of ['yes', 'no', 'call'] as const) {
      if (!p.wire.includes(answer)) continue
      const wire = drop(p.wire, answer)
      own.push(p.volatile === 'waits' ? step(p, ANSWERS[answer], { volatile: '', wire }) : { ...p, wire })
    }
    for (const answer of ['booked', 'refused'] as const) {
      if (!p.wire.includes(answer)) continue
      const wire = drop(p.wire, answer)
      // A refusal that a person had answered already comes again: only the first counts.
      const stale = answer === 'refused' && p.host !== 'refused'
      const input = answer === 'booked' ? 'adviceAcknowledged' : 'adviceRefused'
      own.push((stale ? undefined : step(p, input, { wire })) ?? { ...p, wire })
    }
    if (p.wire.includes('reversed')) {
      const wire = drop(p.wire, 'reversed')
      own.push(
        step(p, 'reversalAcknowledged', { wire, told: p.voiding ? 'voided' : p.told }) ?? { ...p, wire },
      )
    }
    // The wire loses and doubles.
    for (const message of p.wire) own.push({ ...p, wire: drop(p.wire, message) })
    if (p.host !== '' && p.state === 'SENT' && p.volatile === 'waits')
      own.push({ ...p, wire: put(p.wire, 'ask') })
    for (const after of own) if (after !== undefined) yield change(i, after)
  }

  // The power fails: what is not durable is forgotten, and the table decides.
  yield {
    ...world,
    payments: world.payments.map((p) => {
      const after = p.state === '-' ? p : (step(p, 'restart') ?? p)
      return {
        ...after,
        volatile: '' as const,
        told: includes(['COMPLETED', 'ADVICE_PENDING'], after.state) ? ('approved' as const) : p.told,
      }
    }),
  }
  // The round is closed: reversals first, then advices, then the totals. What a person ended or has still to decide is
  // named to them line by line, and left out here.
  if (world.closed === '' && !anyLive && !anyOwed && !adviceOwed) {
    const compared = world.payments.filter(
      ({ state }) => state !== 'ENDED_BY_OPERATOR' && state !== 'ADVICE_REFUSED',
    )
    const ours = compared.map(({ state }) => includes(BOOKED_STATES, state))
    const theirs = compared.map(({ host }) => host === 'approved')
    yield {
      closed: ours.join() === theirs.join() ? 'agrees' : 'differs',
      payments: world.payments.map((p) => step(p, 'settled') ?? p),
    }
  }
}

/** What must hold in every reachable world; the first broken rule, or undefined. */
function broken(world: World): string | undefined {
  if (world.closed === 'differs') return 'totals differ at the close'
  if (world.payments.filter(({ state }) => includes(LIVE_STATES, state)).length > 1)
    return 'two live payments'
  for (const { state, host, told, voiding, volatile, card } of world.payments) {
    if (includes(STANDING_STATES, state) && card !== 'yes') return `${state} without the card's word`
    if (includes(BOOKED_STATES, state) && host !== 'approved') return `${state}, and the host holds nothing`
    if (includes(['CANCELLED', 'DECLINED', 'REVERSED'], state) && host === 'approved')
      return `${state}, and the host took the money`
    if (told === 'approved' && !includes(STANDING_STATES, state) && !voiding && state !== 'ENDED_BY_OPERATOR')
      return `told approved, now ${state}`
    if (volatile !== '' && state !== 'SENT') return `asks the host in ${state}`
  }
  return undefined
}

const nameOf = ({ closed, payments }: World): string =>
  `${closed}${payments.map((p) => `|${p.state},${p.volatile},${p.told},${p.voiding},${p.card},${p.host},${p.advised},${p.wire}`).join('')}`

/** Searches every reachable world. */
function search(table: Table, kinds: readonly Kind[]): { worlds: number; fault?: string; finals: number } {
  const start: World = { payments: kinds.map(() => FRESH), closed: '' }
  const seen = new Set<string>()
  const queue: World[] = [start]
  let finals = 0
  while (queue.length > 0) {
    const world = queue.pop()!
    const name = nameOf(world)
    if (seen.has(name)) continue
    seen.add(name)
    const fault = broken(world)
    if (fault !== undefined) return { worlds: seen.size, fault, finals }
    if (world.closed !== '') finals++
    for (const after of moves(world, table, kinds)) queue.push(after)
  }
  return { worlds: seen.size, finals }
}

t.test('the table: every state knows a restart, finals stay, what is not listed is a fault', (t) => {
  for (const state of PAYMENT_STATES) {
    const after = next(state, 'restart')
    t.equal(next(after, 'restart'), after, `${state}: recovering twice is recovering once`)
    t.notOk(LIVE_STATES.includes(after), `${state}: nothing is live after a restart`)
    for (const input of PAYMENT_INPUTS) {
      if (TRANSITIONS[state][input] === undefined)
        t.throws(() => next(state, input), { code: 'STATE_INVALID' })
    }
  }
  t.equal(next('SENT', 'answerUnknown'), 'REVERSAL_PENDING')
  t.end()
})

t.test('the power-cut table', (t) => {
  const table = {
    CREATED: 'CANCELLED',
    PREPARED: 'REVERSAL_PENDING',
    SENT: 'REVERSAL_PENDING',
    APPROVED: 'REVERSAL_PENDING',
    CARD_FINAL: 'COMPLETED',
    REVERSAL_PENDING: 'REVERSAL_PENDING',
    REVERSAL_STUCK: 'REVERSAL_STUCK',
    REFERRED: 'DECLINED',
    OFFLINE_APPROVED: 'ADVICE_PENDING',
    ADVICE_PENDING: 'ADVICE_PENDING',
    ADVICE_REFUSED: 'ADVICE_REFUSED',
  } as const
  for (const [state, after] of Object.entries(table))
    t.equal(next(state as PaymentState, 'restart'), after, state)
  t.end()
})

t.test('one payment and two payments: no interleaving breaks an invariant', (t) => {
  const any: Kind = { offline: true, referral: true }
  const one = search(TRANSITIONS, [any])
  t.equal(one.fault, undefined)
  const two = search(TRANSITIONS, [{}, { offline: true }])
  t.equal(two.fault, undefined)
  t.comment(`${one.worlds} and ${two.worlds} worlds, ${two.finals} of them closed`)
  t.ok(two.worlds > 50_000 && two.finals > 1_000)
  t.end()
})

t.test('the model can fail: each wrong table is caught', (t) => {
  const wrong: [string, PaymentState, PaymentInput, PaymentState][] = [
    ['a restart forgets what was sent', 'SENT', 'restart', 'CANCELLED'],
    ['a restart keeps an approval whose card had no last word', 'APPROVED', 'restart', 'DECLINED'],
    ['a time-out is called declined', 'SENT', 'answerUnknown', 'DECLINED'],
    ['a card that says no is not taken back', 'APPROVED', 'cardNotFinal', 'DECLINED'],
    ['a card that left is taken for a yes', 'APPROVED', 'cardNotFinal', 'COMPLETED'],
    ['a stuck reversal is given up', 'REVERSAL_PENDING', 'reversalFailing', 'REVERSED'],
    ['a finished payment is reversed at boot', 'CARD_FINAL', 'restart', 'CANCELLED'],
    ['an offline approval is forgotten at boot', 'ADVICE_PENDING', 'restart', 'CANCELLED'],
    [
      'an offline approval counts as booked before the host said so',
      'OFFLINE_APPROVED',
      'completed',
      'COMPLETED',
    ],
    ['a refused advice counts as booked', 'ADVICE_PENDING', 'adviceRefused', 'ADVISED'],
    ['a referral is taken for a yes', 'SENT', 'hostReferred', 'APPROVED'],
  ]
  for (const [name, state, input, to] of wrong) {
    const table: Table = { ...TRANSITIONS, [state]: { ...TRANSITIONS[state], [input]: to } }
    t.not(search(table, [{ offline: true, referral: true }]).fault, undefined, name)
  }
  t.end()
})
