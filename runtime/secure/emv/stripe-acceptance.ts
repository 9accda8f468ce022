// May this stripe be used, and how is its holder verified? Service code, chip first, fallback (EMV Book 4 v4.4, 6.6; ISO/IEC 7813; scheme rules).
import type { CardRequestType, ChipFailure, FallbackReason } from '../card-transaction.js'
import { type CardEnd, ends } from './card-end.js'
import { isExpired } from './dates.js'
import { readServiceCode, type ServiceCode } from './service-code.js'
import type { StripeConfiguration } from './stripe-configuration.js'
import type { Track } from './track2.js'
import { CAPABILITY, hasBit } from './verification-results.js'

/** How often the chip could not be read in this payment, and how the last time. */
export interface ChipFailures {
  readonly count: number
  readonly reason: ChipFailure | undefined
}

/** A card whose chip fails oftener ends the payment, however often it is put in while the stripe is asked for. */
const MAX_FAILURES = 12

export const NO_CHIP_FAILURE: ChipFailures = { count: 0, reason: undefined }

/**
 * The failures after the chip ended the attempt so; undefined where that was no failure to read it, and ends the payment:
 * a card that is blocked, was taken out or refused is not swiped instead.
 *
 * NOTE: the first GENERATE AC is the border. Before it the card has decided nothing; after it a stripe would be a second
 * chance for a card that may have said no.
 */
export function afterChipEnd(
  failures: ChipFailures,
  { reason, noCommonApplication }: CardEnd,
  cryptogramAsked: boolean,
  rules: StripeConfiguration,
): ChipFailures | undefined {
  if (cryptogramAsked || failures.count === MAX_FAILURES) return undefined
  switch (reason) {
    case 'mute':
      return { count: failures.count + 1, reason: 'chipMute' }
    case 'cardError':
      return rules.anyFallback ? { count: failures.count + 1, reason: 'chipError' } : undefined
    case 'notAccepted':
      return noCommonApplication && rules.anyEmptyCandidateList
        ? { count: failures.count, reason: 'noApplication' }
        : undefined
    default:
      return undefined
  }
}

/** True from when the person is asked to swipe, as the chip is given up. */
export function isStripeWanted(failures: ChipFailures, rules: StripeConfiguration): boolean {
  return rules.anyFallback && (failures.reason === 'noApplication' || failures.count >= rules.failedChipReads)
}

/** What `judgeStripe` looks at beside the card. */
export interface StripeCircumstances {
  readonly type: CardRequestType
  /** 9A, YYMMDD. */
  readonly today: Uint8Array
  /** 9F33. */
  readonly capabilities: Uint8Array
  readonly pinBypass: boolean
  readonly chip: ChipFailures
  readonly rules: StripeConfiguration
}

/** `pinOrSignature`: the PIN is asked for, and where it is passed over the holder signs. */
export type StripeVerification = 'pin' | 'pinOrSignature' | 'signature' | 'none'

export type StripeVerdict =
  | {
      readonly kind: 'accepted'
      readonly reason: FallbackReason
      readonly verification: StripeVerification
      readonly label: string
    }
  /** The card has a chip, which has not failed often enough. */
  | { readonly kind: 'insertChip' }
  | CardEnd

/** Services of the card by what is asked for (ISO/IEC 7813, third digit). */
const ALLOWS: Readonly<Record<ServiceCode['services'], readonly CardRequestType[]>> = {
  all: ['sale', 'cash', 'cashback', 'refund'],
  goods: ['sale', 'refund'],
  cash: ['cash'],
  atmOnly: [],
}

/**
 * Judges a card's stripe. Every stripe that is accepted goes online, whatever its second digit says: it proves nothing by
 * itself.
 *
 * NOTE: a stripe without a service code, or with one that is reserved, is refused: it does not say that the card has no
 * chip, and would be the way round it. So are test cards, and cards that need a bilateral agreement.
 * NOTE: a national card (5, 6) is accepted anywhere; the stripe names no country, its issuer refuses what is abroad.
 */
export function judgeStripe(
  card: Pick<Track, 'pan' | 'expiry' | 'serviceCode'>,
  { type, today, capabilities, pinBypass, chip, rules }: StripeCircumstances,
): StripeVerdict {
  const code = card.serviceCode === undefined ? undefined : readServiceCode(card.serviceCode)
  if (!code) return ends('notAccepted', 'stripe without a service code that says what the card is')
  if (code.use === 'test' || code.use === 'agreedOnly')
    return ends('notAccepted', `service code for ${code.use} cards`)
  const allowed = rules.rulesFor(card.pan)
  let reason: FallbackReason = 'noChip'
  if (code.chip) {
    const noApplication = chip.reason === 'noApplication'
    if (chip.reason === undefined || (!noApplication && chip.count < rules.failedChipReads))
      return { kind: 'insertChip' }
    if (!(noApplication ? allowed.emptyCandidateList : allowed.fallback))
      return notAllowed(`fallback after ${chip.reason}`)
    reason = chip.reason
  } else if (!allowed.withoutChip) return notAllowed('cards without a chip')
  if (!ALLOWS[code.services].includes(type))
    return ends('notAccepted', `service code without ${type}: ${code.services}`)
  if (card.expiry !== undefined && isExpired(today, lastDayOf(card.expiry)))
    return ends('expired', 'expiry date of the stripe')
  const verification = verificationOf(code, type, capabilities, pinBypass)
  if (!verification) return ends('notAccepted', 'service code asks for a PIN, the terminal takes none')
  return { kind: 'accepted', reason, verification, label: allowed.label }
}

const notAllowed = (what: string) => ends('stripeNotAllowed', `configuration without ${what}`)

/** YYMM as YYMMDD in BCD: a card is good to the end of its month. */
function lastDayOf(yymm: string): Uint8Array {
  return Uint8Array.of(Number.parseInt(yymm.slice(0, 2), 16), Number.parseInt(yymm.slice(2), 16), 0x31)
}

/** NOTE: who gets money back proves nothing; a refund asks for no PIN and no signature of the cardholder. */
function verificationOf(
  { pin }: ServiceCode,
  type: CardRequestType,
  capabilities: Uint8Array,
  pinBypass: boolean,
): StripeVerification | undefined {
  if (type === 'refund') return 'none'
  const signed = hasBit(capabilities, CAPABILITY.signature) ? 'signature' : 'none'
  if (pin === 'notAsked') return signed
  if (!hasBit(capabilities, CAPABILITY.onlinePin)) return pin === 'required' ? undefined : signed
  return pin === 'whereFeasible' && pinBypass && signed === 'signature' ? 'pinOrSignature' : 'pin'
}
