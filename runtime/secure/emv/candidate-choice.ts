// The cardholder's say in final selection: choice, confirmation, and what becomes of it when the application falls out (EMV Book 1 v4.4, 12.4).
import type { Candidate } from './application-selection.js'
import { type CardEnd, ends } from './card-end.js'

/** The person beside the card. */
export interface CandidateServices {
  /** Index of the choice among the names, undefined on cancel. */
  chooseApplication(names: readonly string[]): Promise<number | undefined>
  confirmApplication(name: string): Promise<boolean>
}

/** True where the cardholder has a say: more than one candidate, or the only one asks for confirmation (steps 2 and 3). */
export function cardholderSelectionRequired(candidates: readonly Candidate[]): boolean {
  return candidates.length > 1 || (candidates[0]?.confirmationRequired ?? false)
}

/**
 * The candidate to select next. `choiceFellOut` is true once one that the cardholder chose or confirmed could not be
 * selected: from then on none is selected without being asked for.
 */
export async function chooseCandidate(
  candidates: readonly Candidate[],
  services: CandidateServices,
  choiceFellOut: boolean,
): Promise<Candidate | CardEnd> {
  const [first] = candidates
  if (!first) return ends('notAccepted', 'no candidate is left')
  if (candidates.length === 1) {
    if (!first.confirmationRequired && !choiceFellOut) return first
    return (await services.confirmApplication(first.name))
      ? first
      : ends('cancelled', 'application not confirmed')
  }
  const index = await services.chooseApplication(candidates.map((candidate) => candidate.name))
  return (index === undefined ? undefined : candidates[index]) ?? ends('cancelled', 'no application chosen')
}
