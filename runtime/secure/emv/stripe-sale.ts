// A payment with the stripe that a swipe gave: PIN or signature, what the host is sent, and its answer (EMV Book 4 v4.4, 6.6; ISO/IEC 7813).
import { ascii, erase } from '../../../hal/base/bytes.js'
import type { Money } from '../../../hal/base/money.js'
import type { Swipe } from '../../../hal/magnetic-stripe-reader.js'
import type {
  CardFacts,
  CardPrompts,
  FallbackReason,
  FinalOutcome,
  HostAnswer,
  StartOutcome,
} from '../card-transaction.js'
import type { CardKeys } from '../keys/terminal-keys.js'
import { type CardEnd, ends, isEnd } from './card-end.js'
import type { SwipeVerdict } from './card-presence.js'
import { judgeStripe, type StripeCircumstances, type StripeVerification } from './stripe-acceptance.js'
import { cardOfSwipe, eraseTrack, TRACK_RULES, type Track } from './track2.js'

/** A stripe that counts, and what it is to be used with. Holds the track until `eraseTrack`. */
export interface AcceptedStripe {
  readonly track: Track
  readonly reason: FallbackReason
  readonly verification: StripeVerification
  readonly label: string
}

/** Reads and judges a swipe; `unread` is told which rule a track broke. */
export function judgeSwipe(
  swipe: Swipe,
  circumstances: StripeCircumstances,
  unread: (rule: string) => void,
): SwipeVerdict<AcceptedStripe> {
  const track = cardOfSwipe(swipe)
  if (track.kind === 'fault') {
    unread(`track ${track.track}: ${TRACK_RULES[track.rule]}`)
    return { kind: 'unreadable' }
  }
  const verdict = judgeStripe(track, circumstances)
  if (verdict.kind === 'accepted') {
    const { reason, verification, label } = verdict
    return { kind: 'stripe', stripe: { track, reason, verification, label } }
  }
  eraseTrack(track)
  return verdict
}

/** Facts of a stripe: no application and no cryptogram, so those fields are empty. */
function factsOf({ track: { pan }, label }: AcceptedStripe, cvm: CardFacts['cvm']): CardFacts {
  const part = (from: number, to?: number) => ascii.decode(pan.subarray(from, to))
  return {
    aid: '',
    label,
    maskedPan: `${part(0, 6)}${'*'.repeat(pan.length - 10)}${part(pan.length - 4)}`,
    // Eight digits are a BIN since ISO/IEC 7812-1:2017, and with the last four all that may be shown of 16.
    bin: part(0, pan.length >= 16 ? 8 : 6),
    panLast4: part(pan.length - 4),
    panSequence: undefined,
    entryMode: 'stripe',
    cvm,
    tvr: '',
    tsi: '',
    atc: '',
    cryptogram: '',
    cryptogramType: 'none',
  }
}

/**
 * Asks for the PIN where one is due and makes the authorisation. The track is erased when this returns or throws.
 * @throws PosternError `KEY_UNAVAILABLE`
 */
export async function startStripe(
  stripe: AcceptedStripe,
  amount: Money,
  keys: CardKeys,
  prompts: Pick<CardPrompts, 'enterPin' | 'busy'>,
  signal: AbortSignal,
): Promise<Extract<StartOutcome, { kind: 'stripe' }> | CardEnd> {
  const { track, reason } = stripe
  try {
    const verified = await verify(stripe, amount, keys, prompts, signal)
    if (isEnd(verified)) return verified
    prompts.busy('authorising')
    return {
      kind: 'stripe',
      authorisation: {
        facts: factsOf(stripe, verified.cvm),
        de55: new Uint8Array(),
        cardData: await keys.encryptCardData(track.equivalent),
        pinBlock: verified.pinBlock,
        cardToken: await keys.cardToken(track.pan),
        serviceCode: track.serviceCode!,
        reason,
      },
    }
  } finally {
    eraseTrack(track)
  }
}

async function verify(
  { track, verification }: AcceptedStripe,
  amount: Money,
  keys: CardKeys,
  prompts: Pick<CardPrompts, 'enterPin' | 'busy'>,
  signal: AbortSignal,
) {
  if (verification === 'signature' || verification === 'none')
    return { cvm: verification, pinBlock: undefined }
  const entry = await prompts.enterPin(
    {
      amount,
      online: true,
      triesLeft: undefined,
      wrong: false,
      bypassAllowed: verification === 'pinOrSignature',
    },
    signal,
  )
  switch (entry.kind) {
    case 'cancelled':
    case 'timeout':
      return ends(entry.kind, 'PIN entry')
    case 'bypassed':
      return { cvm: 'signature' as const, pinBlock: undefined }
    case 'entered':
      try {
        return { cvm: 'pin' as const, pinBlock: await keys.encryptPin(entry.digits, track.pan) }
      } finally {
        erase(entry.digits)
      }
  }
}

/** The host alone decides: a stripe has no last word. Without an answer nothing is approved. */
export function stripeOutcome(facts: CardFacts, answer: HostAnswer): FinalOutcome {
  const common = { facts, de55: new Uint8Array(), adviceRequired: false }
  return answer.kind === 'answered' && answer.approved
    ? { kind: 'approved', signatureRequired: facts.cvm === 'signature', ...common }
    : { kind: 'declined', cardSaidNo: false, ...common }
}
