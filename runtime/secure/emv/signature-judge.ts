// Every check of a certificate or signature in one place that may be listened to, so that a trace without card data replays.
/**
 * Runs a check and gives its result: a key, recovered data, the name of what failed. Pure but for that: `check` changes
 * no data object and sends no command.
 *
 * NOTE: certificates and signed static data recover to the PAN, or to hashes that lead to it. A trace holds zeros in
 * their place and these results instead; a replay gives them back and runs everything else anew (traces/).
 */
export type SignatureJudge = <T>(step: string, check: () => T) => T

/** The judge of real transactions: the check itself. */
export const directly: SignatureJudge = (_step, check) => check()
