// How the development acquirer behaves: a table, by amount or card. The first row that fits decides; none fits: approve.

/** What happens to an answer on its way out. */
export type Delivery =
  | { readonly kind: 'normal' }
  /** No answer; the line stays open. */
  | { readonly kind: 'silent' }
  /** The right answer, too late: after the terminal's patience. */
  | { readonly kind: 'late' }
  /** Half of the answer, then the line breaks. */
  | { readonly kind: 'dropMidReply' }
  | { readonly kind: 'dropBeforeReply' }
  | { readonly kind: 'twice' }
  /** The answer with a MAC that is wrong by one bit. */
  | { readonly kind: 'badMac' }
  /** Bytes in a whole frame that are no message. */
  | { readonly kind: 'unreadable' }

/** How a key block is wrong: not there, without or with another key's check value, one bit changed, of another base key. */
export type KeyHabit = 'none' | 'noCheckValue' | 'wrongCheckValue' | 'altered' | 'foreignBase'

export interface Rule {
  readonly name: string
  /** `sale` is every request: refunds, pre-authorisations and increments too. */
  readonly on: 'sale' | 'reversal' | 'totals' | 'advice' | 'network'
  readonly when: {
    /** Last digits of the amount in minor units. */
    readonly amountEnds?: string
    readonly panEnds?: string
    /** First digits of the card number. */
    readonly bin?: string
    /** Of network management: `signOn`, `echo`, `keyExchange`. */
    readonly management?: string
  }
  /** Of a key exchange. */
  readonly keyBlock?: KeyHabit
  /** Answers this code without asking the issuer, and books nothing. Of a reversal: refuses it, though it is done. */
  readonly decline?: string
  /** `false`: the request is lost before it is booked. */
  readonly booked?: false
  readonly delivery?: Delivery['kind']
  /** The issuer cannot be reached: approved in its place. */
  readonly standIn?: true
  /** Approves half (10) where the terminal takes a part, else declines (51). */
  readonly partial?: true
  /** Approved, and gone from the ledger: totals differ. */
  readonly forgotten?: true
  /** What tag 91 the card gets: the issuer's, none, or one that is wrong. */
  readonly issuerAnswer?: 'none' | 'wrong'
  /** Only the first so many messages about one payment; later ones are answered normally. */
  readonly times?: number
}

/** Amounts that end in 99 and a code (99.51, 199.51, …) are declined with that code. ISO 8583:1987, table 8. */
export const DECLINE_CODES: Readonly<Record<string, string>> = {
  '01': 'refer to card issuer',
  '02': 'refer to card issuer, special condition',
  '03': 'invalid merchant',
  '04': 'pick up card',
  '05': 'do not honour',
  '12': 'invalid transaction',
  '13': 'invalid amount',
  '14': 'invalid card number',
  '30': 'format error',
  '41': 'lost card',
  '43': 'stolen card',
  '51': 'not sufficient funds',
  '54': 'expired card',
  '55': 'incorrect PIN',
  '57': 'transaction not permitted to cardholder',
  '58': 'transaction not permitted to terminal',
  '61': 'exceeds withdrawal amount limit',
  '62': 'restricted card',
  '65': 'exceeds withdrawal frequency limit',
  '75': 'PIN tries exceeded',
  '91': 'issuer or switch inoperative',
  '96': 'system malfunction',
}

/** DE39, private: the key must be changed. */
export const KEY_CHANGE = 'A0'

const sale = (ending: string, name: string, rest: Partial<Rule>): Rule => ({
  name,
  on: 'sale',
  when: { amountEnds: `99${ending}` },
  ...rest,
})

export const DEFAULT_RULES: readonly Rule[] = [
  ...Object.entries(DECLINE_CODES).map(([code, name]) => sale(code, name, { decline: code })),
  sale('70', 'booked, never answered', { delivery: 'silent' }),
  sale('71', 'lost on its way, never answered', { delivery: 'silent', booked: false }),
  sale('72', 'booked, answered too late', { delivery: 'late' }),
  sale('73', 'booked, line breaks in the middle of the answer', { delivery: 'dropMidReply' }),
  sale('74', 'booked, answered twice', { delivery: 'twice' }),
  sale('76', 'booked, answer with a wrong MAC', { delivery: 'badMac' }),
  sale('77', 'booked, answer is no message', { delivery: 'unreadable' }),
  sale('78', 'booked, line breaks before the answer', { delivery: 'dropBeforeReply' }),
  sale('79', 'booked, never answered, and the first reversal is not answered either', { delivery: 'silent' }),
  {
    name: 'first reversal not answered',
    on: 'reversal',
    when: { amountEnds: '9979' },
    delivery: 'silent',
    times: 1,
  },
  sale('80', 'approved with wrong issuer authentication data', { issuerAnswer: 'wrong' }),
  sale('81', 'approved without issuer authentication data', { issuerAnswer: 'none' }),
  sale('82', 'the issuer is away, the acquirer stands in for it', { standIn: true }),
  sale('83', 'approved in part', { partial: true }),
  sale('84', 'approved, and forgotten by the ledger', { forgotten: true }),
  {
    name: 'first advice not answered',
    on: 'advice',
    when: { amountEnds: '9985' },
    delivery: 'silent',
    times: 1,
  },
  { name: 'advice refused', on: 'advice', when: { amountEnds: '9986' }, decline: '05' },
  {
    name: 'advice: try later, three times',
    on: 'advice',
    when: { amountEnds: '9987' },
    decline: '96',
    times: 3,
  },
  sale('89', 'declined: the key must be changed first', { decline: KEY_CHANGE }),
  sale('88', 'booked, never answered, and its reversal is refused', { delivery: 'silent' }),
  { name: 'reversal refused', on: 'reversal', when: { amountEnds: '9988' }, decline: '12' },
]

export interface RuleSubject {
  readonly on: Rule['on']
  /** Minor units, decimal. */
  readonly amountMinor: string
  readonly pan?: string
  /** How many messages about this payment came before, of the same kind. */
  readonly earlier: number
}

/** The first rule that fits. */
export function findRule(rules: readonly Rule[], subject: RuleSubject): Rule | undefined {
  return rules.find(({ on, when, times }) => {
    if (on !== subject.on || (times !== undefined && subject.earlier >= times)) return false
    if (when.amountEnds !== undefined && !subject.amountMinor.endsWith(when.amountEnds)) return false
    if (when.panEnds !== undefined && subject.pan?.endsWith(when.panEnds) !== true) return false
    return when.bin === undefined || subject.pan?.startsWith(when.bin) === true
  })
}
