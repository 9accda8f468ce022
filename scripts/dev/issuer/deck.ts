// The deck: every test card of a folder, to be put into a slot in process, in the virtual handheld or over PC/SC.

import type { Clock, Random } from '../../../hal/base/clock.js'
import { systemClock, systemRandom } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import { maskPan } from '../../../hal/base/log.js'
import type { VirtualCard } from '../../../hal/simulated/virtual-card.js'
import type { CardStateStore } from './card/card-state.js'
import { createCard } from './card-engine.js'
import { CARDS_DIR, loadProfiles } from './card-profile.js'
import { hostileCard } from './hostile-card.js'
import { ensureIssuerKeys, type IssuerKeys } from './issuer-keys.js'
import { personalise } from './personalise.js'
import { fileStore, memoryStore } from './state-stores.js'
import { type RecordedStripe, recordedStripe } from './stripe.js'

/** A card's face: what the deck shows of it. */
export interface DeckCard {
  readonly id: string
  readonly label: string
  readonly description: string
  /** `#rrggbb`. */
  readonly colour: string
  /** The test card's PIN, to be typed by whoever plays. */
  readonly pinHint: string
  readonly maskedPan: string
  /** YYMM. */
  readonly expiry: string
}

/** All cards; a card's chip is made when first asked for and is the same object from then on. */
export interface Deck {
  readonly cards: readonly DeckCard[]
  /** @throws PosternError `CARD_UNKNOWN` */
  card(id: string): VirtualCard
  /** What its stripe has recorded. @throws PosternError `CARD_UNKNOWN` */
  stripe(id: string): RecordedStripe
}

/** Where the deck finds things; `stateDir` keeps ATC and PIN tries over restarts, without it they live in memory. */
export interface DeckOptions {
  readonly keysDir: string
  readonly profilesDir?: string
  readonly stateDir?: string
  readonly random?: Random
  readonly clock?: Clock
}

/** Opens the deck: reads the profiles, makes keys where there are none yet. @throws PosternError `CARD_PROFILE_INVALID` */
export function openDeck(options: DeckOptions): Deck {
  const profiles = loadProfiles(options.profilesDir ?? CARDS_DIR)
  const store: CardStateStore = options.stateDir === undefined ? memoryStore() : fileStore(options.stateDir)
  const random = options.random ?? systemRandom
  const chips = new Map<string, VirtualCard>()
  let keys: IssuerKeys | undefined
  const profileOf = (id: string) => {
    const profile = profiles.find((candidate) => candidate.id === id)
    if (profile === undefined)
      throw new PosternError('CARD_UNKNOWN', `no card ${id} in the deck`, { card: id })
    return profile
  }
  return {
    cards: profiles.map(({ id, label, description, colour, pin, applications }) => ({
      id,
      label,
      description,
      colour,
      pinHint: pin,
      maskedPan: maskPan(applications[0]!.pan),
      expiry: applications[0]!.expiry.slice(0, 4),
    })),
    card(id) {
      const made = chips.get(id)
      if (made !== undefined) return made
      const profile = profileOf(id)
      keys ??= ensureIssuerKeys(options.keysDir)
      const chip = createCard(personalise(profile, keys), { store, random })
      const card =
        profile.hostile === undefined
          ? chip
          : hostileCard(profile.hostile, chip, { clock: options.clock ?? systemClock, random })
      chips.set(id, card)
      return card
    },
    stripe(id) {
      const profile = profileOf(id)
      keys ??= ensureIssuerKeys(options.keysDir)
      return recordedStripe(profile, keys)
    },
  }
}
