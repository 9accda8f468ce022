// The interface characters of an ATR, read once more and apart from the product, for the predicates of recorded ATRs.

export interface AtrCharacters {
  readonly ta1?: number | undefined
  readonly tb1?: number | undefined
  readonly td1?: number | undefined
  readonly ta2?: number | undefined
  readonly tb2?: number | undefined
  readonly td2?: number | undefined
  readonly tb3?: number | undefined
  readonly tc3?: number | undefined
  readonly levels: number
  readonly historical: Uint8Array
}

/** Characters by name; whatever lies behind the ATR's end is absent. */
export function atrCharacters(atr: Uint8Array): AtrCharacters {
  const found: { [name: string]: number | undefined } = {}
  let at = 2
  let levels = 0
  for (let y: number | undefined = (atr[1] ?? 0) >> 4; y !== undefined && at <= atr.length; ) {
    levels++
    for (const [bit, name] of [1, 2, 4, 8].map((bit, i) => [bit, 'abcd'[i]!] as const))
      if ((y & bit) !== 0) found[`t${name}${levels}`] = atr[at++]
    const td: number | undefined = found[`td${levels}`]
    y = td === undefined ? undefined : td >> 4
  }
  return { ...found, levels, historical: atr.slice(at, at + ((atr[1] ?? 0) & 0x0f)) }
}
