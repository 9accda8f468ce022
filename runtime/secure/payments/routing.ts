// Which acquirer takes a payment: the rules tried one by one, each with the reason why it holds or not, then who may and in what order.
import type { AcquirerCapabilities, MoneyKind, RouteQuestion } from './acquirer-port.js'
import type { RoutingDocument, RoutingRule } from './routing-document.js'

/** What routing needs to know of an acquirer. */
export interface RoutedAcquirer {
  readonly id: string
  readonly currency: string
  readonly capabilities: AcquirerCapabilities
  readonly limits: { readonly leastMinor?: bigint; readonly mostMinor?: bigint }
  /** Card data are enciphered under one key set: an acquirer of another cannot read them. */
  readonly keySet: string
}

/** `maybe`: it depends on what the card will say. */
export type Holds = 'yes' | 'no' | 'maybe'

export interface RuleExplained {
  readonly name: string
  readonly holds: Holds
  /** A sentence a condition. */
  readonly reasons: readonly string[]
}

export interface CandidateExplained {
  readonly id: string
  readonly taken: boolean
  readonly reasons: readonly string[]
}

export interface RouteExplained {
  readonly rules: readonly RuleExplained[]
  /** The rule that decided, or undefined where none matched. */
  readonly decided: string | undefined
  readonly candidates: readonly CandidateExplained[]
  /** Who takes it, the best first. */
  readonly order: readonly string[]
}

type Condition = readonly [holds: Holds, reason: string]

const inRange = (bin: string, range: string): Holds => {
  const [from, to = from] = range.split('-') as [string, string?]
  const digits = bin.slice(0, from.length)
  if (digits.length === from.length) return digits >= from && digits <= to ? 'yes' : 'no'
  // The card's BIN is shorter than the rule's.
  return digits >= from.slice(0, digits.length) && digits <= to.slice(0, digits.length) ? 'maybe' : 'no'
}

function oneOf<T>(given: T | undefined, wanted: readonly T[], holds: (given: T, one: T) => Holds): Holds {
  if (given === undefined) return 'maybe'
  const all = wanted.map((one) => holds(given, one))
  return all.includes('yes') ? 'yes' : all.includes('maybe') ? 'maybe' : 'no'
}

const WORDS: Readonly<Record<Holds, string>> = {
  yes: 'is',
  no: 'is not',
  maybe: 'is not known to be',
}

const isBin = (bin: string | undefined, bins: readonly string[]) => oneOf(bin, bins, inRange)
const isAid = (aid: string | undefined, aids: readonly string[]) =>
  oneOf(aid, aids, (given, one) => (given.toUpperCase().startsWith(one) ? 'yes' : 'no'))

function schemeOf(document: RoutingDocument, question: RouteQuestion, name: string): Holds {
  const { bins, aids } = document.schemes?.[name] ?? {}
  const found: Holds[] = []
  if (aids !== undefined) found.push(isAid(question.aid, aids))
  if (bins !== undefined) found.push(isBin(question.bin, bins))
  return found.includes('yes') ? 'yes' : found.includes('maybe') ? 'maybe' : 'no'
}

function conditionsOf(
  document: RoutingDocument,
  { when }: RoutingRule,
  question: RouteQuestion,
): Condition[] {
  const { bin, aid, amount, kind } = question
  const conditions: Condition[] = []
  const add = (holds: Holds, what: string, wanted: string) =>
    conditions.push([holds, `${what} ${WORDS[holds]} ${wanted}`])
  if (when.bins !== undefined)
    add(isBin(bin, when.bins), `BIN ${bin ?? 'of the card'}`, `in ${when.bins.join(', ')}`)
  if (when.aids !== undefined)
    add(isAid(aid, when.aids), `AID ${aid ?? 'of the card'}`, `in ${when.aids.join(', ')}`)
  if (when.schemes !== undefined) {
    const each = when.schemes.map((name) => schemeOf(document, question, name))
    const holds = each.includes('yes') ? 'yes' : each.includes('maybe') ? 'maybe' : 'no'
    add(holds, 'scheme', when.schemes.join(' or '))
  }
  if (when.currencies !== undefined)
    add(
      when.currencies.includes(amount.currency) ? 'yes' : 'no',
      `currency ${amount.currency}`,
      when.currencies.join(' or '),
    )
  if (when.kinds !== undefined)
    add((when.kinds as readonly MoneyKind[]).includes(kind) ? 'yes' : 'no', kind, when.kinds.join(' or '))
  if (when.amount !== undefined) {
    const { least = '0', most } = when.amount
    const holds = amount.minor >= BigInt(least) && (most === undefined || amount.minor <= BigInt(most))
    add(holds ? 'yes' : 'no', `amount ${amount.minor}`, `from ${least} to ${most ?? 'any'} (minor units)`)
  }
  return conditions
}

function explainRule(document: RoutingDocument, rule: RoutingRule, question: RouteQuestion): RuleExplained {
  const conditions = conditionsOf(document, rule, question)
  const all = conditions.map(([holds]) => holds)
  return {
    name: rule.name,
    holds: all.includes('no') ? 'no' : all.includes('maybe') ? 'maybe' : 'yes',
    reasons: conditions.length === 0 ? ['it asks for nothing'] : conditions.map(([, reason]) => reason),
  }
}

/** What an acquirer must be able to do for a payment of a kind. */
const NEEDS: Readonly<Partial<Record<MoneyKind, 'refund' | 'preauth'>>> = {
  refund: 'refund',
  preauth: 'preauth',
  increment: 'preauth',
  completion: 'preauth',
}

/** Why an acquirer cannot take it; empty where it can. */
function against(
  { currency, capabilities, limits }: RoutedAcquirer,
  { amount, kind }: RouteQuestion,
): string[] {
  const reasons: string[] = []
  const need = NEEDS[kind]
  if (currency !== amount.currency) reasons.push(`takes ${currency}, not ${amount.currency}`)
  if (need !== undefined && !capabilities[need]) reasons.push(`takes no ${need}`)
  if (limits.leastMinor !== undefined && amount.minor < limits.leastMinor)
    reasons.push(`takes ${limits.leastMinor} or more`)
  if (limits.mostMinor !== undefined && amount.minor > limits.mostMinor)
    reasons.push(`takes ${limits.mostMinor} at most`)
  return reasons
}

/** Ten-thousandths of a minor unit. */
function costOf(document: RoutingDocument, id: string, minor: bigint): bigint {
  const cost = document.costs?.[id]
  return cost === undefined ? 0n : minor * BigInt(cost.basisPoints) + BigInt(cost.fixed ?? '0') * 10_000n
}

/**
 * Decides, and says why. `isAvailable` is a guess: whose road did not open just now goes last, and is still tried.
 * A rule that only might match decides as if it did while the card has not been read.
 */
export function explainRoute(
  document: RoutingDocument,
  acquirers: readonly RoutedAcquirer[],
  question: RouteQuestion,
  isAvailable: (id: string) => boolean = () => true,
): RouteExplained {
  const rules = document.rules.map((rule) => explainRule(document, rule, question))
  const cardRead = question.bin !== undefined
  const at = rules.findIndex(({ holds }) => holds === 'yes' || (holds === 'maybe' && !cardRead))
  const rule = document.rules[at]
  const named = rule?.acquirers ?? document.otherwise
  const { amount } = question
  const order =
    rule?.prefer === 'cost'
      ? [...named].sort((a, b) => {
          const [one, other] = [costOf(document, a, amount.minor), costOf(document, b, amount.minor)]
          return one < other ? -1 : one > other ? 1 : 0
        })
      : named
  const candidates = order.map((id): CandidateExplained => {
    const acquirer = acquirers.find((one) => one.id === id)
    if (acquirer === undefined) return { id, taken: false, reasons: ['is not in the acquirers document'] }
    const reasons = against(acquirer, question)
    if (reasons.length > 0) return { id, taken: false, reasons }
    const why = isAvailable(id) ? [] : ['its road did not open just now: tried last']
    const cost = costOf(document, id, amount.minor)
    if (document.costs?.[id] !== undefined)
      why.push(`costs ${cost / 10_000n}.${String(cost % 10_000n).padStart(4, '0')} (minor units)`)
    return { id, taken: true, reasons: why }
  })
  const able = candidates.filter(({ taken }) => taken).map(({ id }) => id)
  return {
    rules,
    decided: rule?.name,
    candidates,
    order: [...able.filter(isAvailable), ...able.filter((id) => !isAvailable(id))],
  }
}

/** Where no routing document was given: the acquirers in the order of their document. */
export const defaultRouting = (ids: readonly string[]): RoutingDocument => ({
  rules: [],
  otherwise: [...ids],
})
