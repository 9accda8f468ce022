// What a chip remembers without power: counters, PIN tries, blocks, data put by scripts, its log; plain JSON.
import type { CardProfile } from '../card-profile.js'

/** Persistent state of one application. */
export interface ApplicationState {
  /** Application transaction counter, last one used. */
  atc: number
  lastOnlineAtc: number
  blocked: boolean
  /** The last online transaction ended before its second cryptogram. */
  onlineNotCompleted: boolean
  scriptFailed: boolean
  /** Values put by PUT DATA, tag to value, hex. */
  data: Record<string, string>
  /** Newest first, hex. */
  log: string[]
}

/** Persistent state of a card. The PIN is here because a script may change it. */
export interface CardState {
  pin: string
  pinTries: number
  cardBlocked: boolean
  applications: Record<string, ApplicationState>
}

/** Where a card keeps its state: `load` gives what was saved last; `save` is called after each command that changed it. */
export interface CardStateStore {
  load(cardId: string): CardState | undefined
  save(cardId: string, state: CardState): void
}

/** A card fresh from personalisation. */
function freshState(profile: CardProfile): CardState {
  return {
    pin: profile.pin,
    pinTries: profile.pinTriesLeft ?? profile.pinTryLimit,
    cardBlocked: false,
    applications: Object.fromEntries(
      profile.applications.map((application) => [
        application.aid,
        {
          atc: application.atc ?? 0,
          lastOnlineAtc: application.atc ?? 0,
          blocked: application.blocked ?? false,
          onlineNotCompleted: false,
          scriptFailed: false,
          data: {},
          log: [],
        },
      ]),
    ),
  }
}

/** What was saved, completed by what a profile gained since. */
export function completeState(saved: CardState | undefined, profile: CardProfile): CardState {
  const fresh = freshState(profile)
  return { ...fresh, ...saved, applications: { ...fresh.applications, ...saved?.applications } }
}
