// May the card have been read so? DE22, DE55, the reason of a fallback and the service code have to agree (ISO/IEC 7813).

const STRIPES: readonly string[] = ['stripe', 'fallback']

/** True for a stripe, a chip card's included. */
export const isStripe = (entryMode: string): boolean => STRIPES.includes(entryMode)

export const isTyped = (entryMode: string): boolean => entryMode === 'manual'

/** What was typed: expiry YYMM and perhaps the security code, in track 2's place; undefined where it is no such thing. */
export function typedFacts(track2: string): { expiry: string; cvv2?: string } | undefined {
  const found = /^[0-9]{12,19}D([0-9]{4})(?:D([0-9]{3,4}))?F?$/.exec(track2)
  if (found === null) return undefined
  return { expiry: found[1]!, ...(found[2] === undefined ? {} : { cvv2: found[2] }) }
}

export interface EntryFacts {
  /** Of DE22, as the word that it means. */
  readonly entryMode: string
  readonly hasChipData: boolean
  /** Of DF05 in DE48. */
  readonly hasFallbackReason: boolean
  /** Track 2 in hex, `D` for the separator. */
  readonly track2: string
}

/**
 * Response code of a request that is refused for it; undefined where all agrees. A chip card's stripe without a reason is
 * refused (12): its chip was passed over.
 */
export function refusedEntry({
  entryMode,
  hasChipData,
  hasFallbackReason,
  track2,
}: EntryFacts): string | undefined {
  if (isTyped(entryMode)) return hasChipData || typedFacts(track2) === undefined ? '30' : undefined
  if (!isStripe(entryMode)) return hasChipData && !hasFallbackReason ? undefined : '30'
  if (hasChipData) return '30'
  const serviceCode = /^[0-9]+D[0-9]{4}([0-9]{3})/.exec(track2)?.[1]
  if (serviceCode === undefined) return '30'
  const chip = serviceCode.startsWith('2') || serviceCode.startsWith('6')
  const fallback = entryMode === 'fallback'
  return chip === fallback && fallback === hasFallbackReason ? undefined : '12'
}
