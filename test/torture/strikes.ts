// What falls over in a seeded day, and when: the secure world, the open world, the acquirer or the network, at a named
// step of the journal or at any step of terminal, card, key store and host.
import type { AdviceAnswer, AuthoriseAnswer } from '../../runtime/secure/payments/acquirer-port.js'
import { type Power, PowerCut, TestHost } from '../runtime/secure/payments/support.js'

export const VICTIMS = ['secure', 'open', 'acquirer', 'network'] as const
export type Victim = (typeof VICTIMS)[number]

/** Before or after a durable step of that name, or at the n-th step of whatever kind. */
export type StrikeAt = { readonly step: string } | { readonly n: number }

/** Struck in the middle of a message. */
class RoadCut extends Error {}

export interface Strike extends Power {
  /** Who has fallen, once it has. */
  readonly fell: Victim | undefined
  /** The step at which it fell. */
  readonly fellAt: string | undefined
  readonly seen: ReadonlySet<string>
}

/** `onFall` hears of everyone but the secure world, whose fall ends the process: everything throws from then on. */
export function strike(victim: Victim | undefined, at: StrikeAt, onFall: (victim: Victim) => void): Strike {
  const steps: string[] = []
  const seen = new Set<string>()
  let fell: Victim | undefined
  let fellAt: string | undefined
  return {
    steps,
    seen,
    get off() {
      return fell === 'secure'
    },
    get fell() {
      return fell
    },
    get fellAt() {
      return fellAt
    },
    step(name) {
      if (fell === 'secure') throw new PowerCut(name)
      steps.push(name)
      seen.add(name)
      const isIt = 'step' in at ? at.step === name : at.n === steps.length
      if (victim === undefined || fell !== undefined || !isIt) return
      fell = victim
      fellAt = name
      if (victim === 'secure') throw new PowerCut(name)
      onFall(victim)
    },
  }
}

/**
 * A host whose line may be cut within a message: what it had decided by then stands, and the terminal learns nothing. What
 * it has forgotten of a batch (a copy that was lost) makes it ask for the upload.
 */
export class TornHost extends TestHost {
  /** Goes up with every cut: a message under way is lost. */
  cuts = 0
  readonly #lost: TestHost['ledger'] = new Map()

  /** The line is cut now, until `mend`. */
  cut(): void {
    this.cuts++
    this.reachable = false
  }
  mend(): void {
    this.reachable = true
  }

  /** Forgets these payments, until it finds them again. */
  lose(ids: readonly string[]): void {
    for (const id of ids) {
      this.#lost.set(id, this.ledger.get(id)!)
      this.ledger.delete(id)
    }
  }
  /** Finds what the terminal has not uploaded meanwhile. */
  find(): void {
    for (const [id, line] of this.#lost) if (!this.ledger.has(id)) this.ledger.set(id, line)
    this.#lost.clear()
  }

  /** Sends a message, which a host in memory decides before it first waits; cut under way, it comes to nothing more. */
  async #torn<T extends { readonly kind: string }>(send: () => Promise<T>, lost: T): Promise<T> {
    const { cuts, power } = this
    this.power = {
      steps: power.steps,
      off: false,
      step: (name) => {
        power.step(name)
        if (this.cuts !== cuts) throw new RoadCut(name)
      },
    }
    const sent = send()
    this.power = power
    try {
      const answer = await sent
      return this.cuts === cuts || answer.kind === 'notSent' ? answer : lost
    } catch (error) {
      if (error instanceof RoadCut) return lost
      throw error
    }
  }

  override authorise(...args: Parameters<TestHost['authorise']>): Promise<AuthoriseAnswer> {
    const [request, beforeSend] = args
    return this.#torn<AuthoriseAnswer>(() => super.authorise(request, beforeSend), {
      kind: 'unknown',
      cause: 'lineLost',
    })
  }
  override reverse(...[request, beforeSend]: Parameters<TestHost['reverse']>) {
    return this.#torn<Awaited<ReturnType<TestHost['reverse']>>>(() => super.reverse(request, beforeSend), {
      kind: 'failed',
      reason: 'lineLost',
    })
  }
  override advise(...[request, beforeSend]: Parameters<TestHost['advise']>): Promise<AdviceAnswer> {
    // What it has booked it does not refuse later.
    const { stan, preparedAtMs } = request.facts
    while (
      this.adviceRules[0] === 'refuse' &&
      this.ledger.get(`${stan} ${preparedAtMs}`)?.state === 'approved'
    )
      this.adviceRules.shift()
    return this.#torn<AdviceAnswer>(() => super.advise(request, beforeSend), {
      kind: 'failed',
      reason: 'lineLost',
    })
  }
  override async compareTotals(...[request]: Parameters<TestHost['compareTotals']>) {
    const lost = { kind: 'notSent', reason: 'lineLost' } as const
    return this.#torn<Awaited<ReturnType<TestHost['compareTotals']>>>(
      () => super.compareTotals(request),
      lost,
    )
  }
  override upload(...[request]: Parameters<TestHost['upload']>) {
    return this.#torn<Awaited<ReturnType<TestHost['upload']>>>(() => super.upload(request), {
      kind: 'failed',
      reason: 'lineLost',
    })
  }
}
