// Which stripes the terminal reads, as a part of the EMV configuration document: cards without a chip, and fallback, by IIN.
import { type Static, Type } from 'typebox'

const closed = { additionalProperties: false } as const

const Issuer = Type.Object(
  {
    /** First digits of the card number; of several that fit the longest counts. */
    iin: Type.String({ pattern: '^[0-9]{1,8}$' }),
    /** What the receipt calls the card, as a stripe says nothing of it. */
    label: Type.Optional(Type.String({ pattern: '^[ -~]{1,16}$' })),
    withoutChip: Type.Optional(Type.Boolean()),
    fallback: Type.Optional(Type.Boolean()),
    emptyCandidateList: Type.Optional(Type.Boolean()),
  },
  closed,
)

/** Absent: the terminal reads no stripe at all. */
export const StripeDocument = Type.Object(
  {
    /** Cards whose service code says that they have no chip. */
    withoutChip: Type.Boolean(),
    /** The stripe of a chip card whose chip can't be read. */
    fallback: Type.Boolean(),
    /** The same for a chip that works and has no application in common with the terminal. Default: no. */
    emptyCandidateList: Type.Optional(Type.Boolean()),
    /**
     * Reads of the chip that have to fail before its stripe counts, the card turned or wiped in between. NOTE: EMV names
     * no number and leaves it to the payment systems; three are usual.
     */
    failedChipReads: Type.Optional(Type.Integer({ minimum: 1, maximum: 9 })),
    /** Exceptions by issuer; what a row leaves out is as above. */
    issuers: Type.Optional(Type.Array(Issuer, { maxItems: 1000 })),
  },
  closed,
)
export type StripeDocument = Static<typeof StripeDocument>

/** What holds for one card. */
export interface StripeRules {
  readonly withoutChip: boolean
  readonly fallback: boolean
  readonly emptyCandidateList: boolean
  readonly label: string
}

export interface StripeConfiguration {
  readonly failedChipReads: number
  /** True where fallback is allowed for any card at all; before the stripe is read its IIN is not known. */
  readonly anyFallback: boolean
  /** The same for a chip without an application in common. */
  readonly anyEmptyCandidateList: boolean
  /** @param pan ASCII digits */
  rulesFor(pan: Uint8Array): StripeRules
}

/** 9F33 byte 1, bit 7: magnetic stripe (EMV Book 4, annex A2, table 25). */
const CAPABILITY_STRIPE = 0x40

const NOT_WITHOUT_FALLBACK = 'is a kind of fallback, and fallback is not allowed'

/**
 * Makes the kernel's form of a document that fits the schema. `refuse` is called with place, key and rule, and throws.
 * @param capabilities 9F33
 */
export function stripeConfiguration(
  document: StripeDocument | undefined,
  capabilities: Uint8Array,
  refuse: (where: string, key: string, rule: string) => never,
): StripeConfiguration | undefined {
  if (document === undefined) return undefined
  if ((capabilities[0]! & CAPABILITY_STRIPE) === 0)
    refuse('terminal', 'capabilities', 'must name the magnetic stripe where stripe is set (Book 4, annex A2)')
  const { withoutChip, fallback, emptyCandidateList = false, failedChipReads = 3, issuers = [] } = document
  if (emptyCandidateList && !fallback) refuse('stripe', 'emptyCandidateList', NOT_WITHOUT_FALLBACK)
  const general: StripeRules = { withoutChip, fallback, emptyCandidateList, label: '' }
  const rows = new Map<string, StripeRules>()
  for (const { iin, ...row } of issuers) {
    const where = `stripe, IIN ${iin}`
    if (rows.has(iin)) refuse(where, 'iin', 'stands twice')
    if (Object.keys(row).length === 0) refuse(where, 'iin', 'says nothing of its cards')
    const rules = { ...general, ...row }
    if (rules.emptyCandidateList && !rules.fallback) refuse(where, 'emptyCandidateList', NOT_WITHOUT_FALLBACK)
    rows.set(iin, rules)
  }
  const all = [general, ...rows.values()]
  return {
    failedChipReads,
    anyFallback: all.some((row) => row.fallback),
    anyEmptyCandidateList: all.some((row) => row.emptyCandidateList),
    rulesFor(pan) {
      for (let length = 8; length > 0; length--) {
        const rules = rows.get(String.fromCharCode(...pan.subarray(0, length)))
        if (rules) return rules
      }
      return general
    },
  }
}
