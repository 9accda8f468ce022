// A card whose number is typed: CardTransaction without a card, for acquirers that take it; always the host's word.
import { ascii, erase, fromHex } from '../../hal/base/bytes.js'
import type {
  CardFacts,
  CardHistory,
  CardPrompts,
  CardRequest,
  CardTransaction,
  FinalOutcome,
  HostAnswer,
  StartOutcome,
} from './card-transaction.js'
import type { CardKeys } from './keys/terminal-keys.js'
import type { EnterCard, TypedCard } from './screens/card-entry.js'

export interface TypedCardOptions {
  readonly keys: CardKeys
  readonly enterCard: EnterCard
}

/** Makes the transaction of one typed card. `cvv2`: the acquirer wants the security code. */
export type TypedCardFactory = (
  prompts: CardPrompts,
  history: CardHistory,
  wanted: { readonly cvv2: boolean },
) => CardTransaction

/**
 * What is encrypted in track 2's place, in BCD: number, `D`, expiry YYMM, and after another `D` the security code, padded
 * with `F`. NOTE: no dialect of ours has fields of its own for typed cards; this keeps them under the data key like a track.
 */
function typedTrack({ pan, expiry, cvv2 }: TypedCard): Uint8Array {
  const code = cvv2 === undefined ? '' : `D${ascii.decode(cvv2)}`
  const digits = `${ascii.decode(pan)}D${ascii.decode(expiry)}${code}`
  return fromHex(digits.length % 2 === 0 ? digits : `${digits}F`)
}

function factsOf(pan: Uint8Array): CardFacts {
  const part = (from: number, to?: number) => ascii.decode(pan.subarray(from, to))
  return {
    aid: '',
    label: '',
    maskedPan: `${part(0, 6)}${'*'.repeat(pan.length - 10)}${part(pan.length - 4)}`,
    bin: part(0, pan.length >= 16 ? 8 : 6),
    panLast4: part(pan.length - 4),
    panSequence: undefined,
    entryMode: 'manual',
    cvm: 'none',
    tvr: '',
    tsi: '',
    atc: '',
    cryptogram: '',
    cryptogramType: 'none',
  }
}

/** A card is good to the end of its month (ISO/IEC 7813). */
function isExpired(expiry: Uint8Array, at: Date): boolean {
  const now = `${String(at.getFullYear() % 100).padStart(2, '0')}${String(at.getMonth() + 1).padStart(2, '0')}`
  return ascii.decode(expiry) < now
}

export function typedCards({ keys, enterCard }: TypedCardOptions): TypedCardFactory {
  return (prompts, history, wanted): CardTransaction => {
    let facts: CardFacts | undefined

    async function judged(card: TypedCard, { at }: CardRequest): Promise<StartOutcome> {
      facts = factsOf(card.pan)
      if (isExpired(card.expiry, at)) return { kind: 'ended', reason: 'expired', facts }
      const cardToken = await keys.cardToken(card.pan)
      // NOTE: a chip on the exception file is asked online; a number without its card that stands there is refused.
      if (await history.onExceptionFile(cardToken)) return { kind: 'ended', reason: 'notAccepted', facts }
      prompts.busy('asking')
      const track = typedTrack(card)
      try {
        const cardData = await keys.encryptCardData(track)
        const de55 = new Uint8Array()
        return { kind: 'typed', authorisation: { facts, de55, cardData, pinBlock: undefined, cardToken } }
      } finally {
        erase(track)
      }
    }

    return {
      async start(request, signal): Promise<StartOutcome> {
        const { amount, locale } = request
        const entry = await enterCard({ amount, locale, cvv2: wanted.cvv2 }, signal)
        if (entry.kind !== 'typed') return { kind: 'ended', reason: entry.kind }
        const { pan, expiry, cvv2 } = entry.card
        try {
          return await judged(entry.card, request)
        } finally {
          erase(pan, expiry, cvv2)
        }
      },
      /** The host alone decides: there is no card to have a last word. */
      async hostAnswer(answer: HostAnswer): Promise<FinalOutcome> {
        const common = { facts: facts!, de55: new Uint8Array(), adviceRequired: false }
        return answer.kind === 'answered' && answer.approved
          ? { kind: 'approved', signatureRequired: false, ...common }
          : { kind: 'declined', cardSaidNo: false, ...common }
      },
      finish: async () => undefined,
    }
  }
}
