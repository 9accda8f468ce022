// Answer to reset (EMV Contact Interface Specification v1.0, section 8.3, formerly Book 1, 8.3): is this a card that EMV accepts?
// Historical characters are not interpreted (8.3.2).

export type AtrVerdict =
  | { readonly kind: 'emv'; readonly protocol: 'T=0' | 'T=1'; readonly historical: Uint8Array }
  | { readonly kind: 'rejected'; readonly rule: string }

const rejected = (rule: string): AtrVerdict => ({ kind: 'rejected', rule })

/** Protocol-independent bound (ISO/IEC 7816-3, 8.2): TS and at most 32 characters. */
const MAX_ATR = 33

/** Class indicator of the global TA: A, B, C and their combinations (ISO/IEC 7816-3, 8.3). */
const CLASSES: ReadonlySet<number> = new Set([1, 2, 3, 4, 6, 7])

/** Checks a cold ATR with the values that a terminal shall accept. */
export function checkAtr(atr: Uint8Array): AtrVerdict {
  if (atr.length < 2 || atr.length > MAX_ATR) return rejected('length')
  if (atr[0] !== 0x3b && atr[0] !== 0x3f) return rejected('TS is neither 3B nor 3F')
  const historicalLength = atr[1]! & 0x0f
  let at = 2
  let y = atr[1]! >> 4
  let level = 1
  let protocol: 0 | 1 = 0
  // T of the last TD: which meaning TA, TB, TC of the next level have.
  let current = 0
  let needsTck = false
  let ta1: number | undefined
  const t1 = { ta3: undefined as number | undefined, tb3: undefined as number | undefined, tc3: 0 }
  while (y !== 0 || level === 1) {
    const ta = y & 1 ? atr[at++] : undefined
    const tb = y & 2 ? atr[at++] : undefined
    const tc = y & 4 ? atr[at++] : undefined
    const td = y & 8 ? atr[at++] : undefined
    if (at > atr.length) return rejected('cut short')
    if (level === 1) {
      ta1 = ta
      // 8.3.3.2: TB1 asks for a programming voltage; any value is accepted, none is applied.
      if (td !== undefined && (td & 0x0f) > 1) return rejected('TD1')
      protocol = td !== undefined && (td & 0x0f) === 1 ? 1 : 0
      // 8.3.3.3: extra guard time: none, or the protocol's least.
      if (tc !== undefined && tc !== 0x00 && tc !== 0xff) return rejected('TC1')
    } else if (level === 2) {
      // 8.3.3.5: specific mode only with explicit parameters (b5 = 0) and the protocol of TD1.
      if (ta !== undefined && ((ta & 0x0f) !== current || (ta & 0x10) !== 0)) return rejected('TA2')
      // 8.3.3.1: in specific mode TA1 must be one that terminals carry (Fi 372, Di 1, 2 or 4); else it is not used.
      if (ta !== undefined && ta1 !== undefined && (ta1 < 0x11 || ta1 > 0x13)) return rejected('TA1')
      if (tb !== undefined) return rejected('TB2')
      if (tc !== undefined && (current !== 0 || tc !== 0x0a)) return rejected('TC2')
      // 8.3.3.8: after T=0 comes T=1 or the global level 15; after T=1 only T=1.
      if (td !== undefined) {
        const t = td & 0x0f
        if (current === 1 ? t !== 1 : t !== 1 && t !== 15) return rejected('TD2')
      }
    } else if (level === 3) {
      if (current === 1) {
        t1.ta3 = ta
        t1.tb3 = tb
        t1.tc3 = tc ?? 0
      } else if (ta !== undefined && !CLASSES.has(ta & 0x3f)) return rejected('TA3')
    }
    if (td !== undefined && (td & 0x0f) !== 0) needsTck = true
    current = td === undefined ? current : td & 0x0f
    y = td === undefined ? 0 : td >> 4
    if (++level > 8) return rejected('too many interface characters')
  }
  if (protocol === 1) {
    // 8.3.3.9: IFSC 10 to FE; 8.3.3.10: BWI 0 to 4, CWI 0 to 5; 8.3.3.11: EDC is the LRC.
    if (t1.ta3 !== undefined && (t1.ta3 < 0x10 || t1.ta3 === 0xff)) return rejected('TA3')
    if (t1.tb3 === undefined) return rejected('TB3')
    if (t1.tb3 >> 4 > 4 || (t1.tb3 & 0x0f) > 5) return rejected('TB3')
    if (t1.tc3 !== 0) return rejected('TC3')
  }
  const historical = atr.slice(at, at + historicalLength)
  if (historical.length !== historicalLength) return rejected('historical characters cut short')
  at += historicalLength
  if (needsTck) {
    if (at >= atr.length) return rejected('TCK missing')
    let check = 0
    for (let i = 1; i <= at; i++) check ^= atr[i]!
    if (check !== 0) return rejected('TCK')
  }
  return { kind: 'emv', protocol: protocol === 1 ? 'T=1' : 'T=0', historical }
}
