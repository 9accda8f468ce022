// What the world outside the terminal's disk has seen, a line at a time.

export interface HostLine {
  readonly minor: string
  readonly batch: number
  readonly state: 'approved' | 'declined' | 'voided' | 'reversed'
}

export type Mark =
  /** The acquirer's whole ledger, by trace number and time. */
  | { readonly ledger: readonly (readonly [string, HostLine])[] }
  /** A person, or the open world, was told how a payment ended. */
  | { readonly told: readonly [key: string, outcome: string] }
  /** A key serial number went into use. */
  | { readonly ksn: string }
  /** From here on the terminal must have its keys. */
  | { readonly keysLoaded: true }

/** All that the world had seen before the cut. */
export interface Witnessed {
  readonly ledger: ReadonlyMap<string, HostLine>
  readonly told: ReadonlyMap<string, string>
  readonly ksns: readonly string[]
  readonly keysLoaded: boolean
}

export function witnessed(lines: readonly string[]): Witnessed {
  let ledger: Witnessed['ledger'] = new Map()
  const told = new Map<string, string>()
  const ksns: string[] = []
  let keysLoaded = false
  for (const line of lines) {
    const mark = JSON.parse(line) as Mark
    if ('ledger' in mark) ledger = new Map(mark.ledger)
    else if ('told' in mark) told.set(...mark.told)
    else if ('ksn' in mark) ksns.push(mark.ksn)
    else keysLoaded = true
  }
  return { ledger, told, ksns, keysLoaded }
}
