// Answer to reset (EMV Contact Interface Specification v1.0, 8.3; until v4.3 Book 1, 8.3): is this a card that EMV accepts?

export type AtrVerdict =
  | { readonly kind: 'emv'; readonly protocol: 'T=0' | 'T=1'; readonly historical: Uint8Array }
  | { readonly kind: 'rejected'; readonly rule: string }

const rejected = (rule: string): AtrVerdict => ({ kind: 'rejected', rule })

/** TS and at most 32 characters (ISO/IEC 7816-3, 8.2.1). */
const MAX_ATR = 33
/** A level has at least TDi: 32 characters hold no more of them than anyone ever sent. */
const MAX_LEVELS = 8

/** TAi, TBi, TCi, TDi of one level, and T of the TD before: which protocol's they are. */
interface Level {
  readonly ta: number | undefined
  readonly tb: number | undefined
  readonly tc: number | undefined
  readonly td: number | undefined
  readonly t: number
}

interface Characters {
  readonly levels: readonly Level[]
  readonly historical: Uint8Array
  /** Where TCK would stand. */
  readonly end: number
}

const NO_LEVEL: Level = { ta: undefined, tb: undefined, tc: undefined, td: undefined, t: 0 }

/** T0 and the TDs say what follows; it must be there (8.3.2). */
function readCharacters(atr: Uint8Array): Characters | string {
  const levels: Level[] = []
  let at = 2
  let y = atr[1]! >> 4
  let t = 0
  for (;;) {
    const next = (bit: number) => ((y & bit) === 0 ? undefined : atr[at++])
    const level: Level = { ta: next(1), tb: next(2), tc: next(4), td: next(8), t }
    if (at > atr.length) return 'cut short'
    levels.push(level)
    if (level.td === undefined) break
    if (levels.length === MAX_LEVELS) return 'too many interface characters'
    y = level.td >> 4
    t = level.td & 0x0f
  }
  const end = at + (atr[1]! & 0x0f)
  if (end > atr.length) return 'historical characters cut short'
  return { levels, historical: atr.slice(at, end), end }
}

/** T of TD1 and TD2. */
const T0 = 0
const T1 = 1
/** Global characters follow. NOTE: v4.3 wrote 'E' for this value in 8.3.3.8; 7816-3 and the cards have 15. Both are taken. */
const GLOBAL = [14, 15]

interface Rule {
  readonly character: string
  readonly clause: string
  breaks(one: Level, two: Level, three: Level): boolean
}

/**
 * What a terminal shall reject, by character. Not here, as any value is accepted: TB1 (8.3.3.2), for Vpp is never
 * generated; TA1 without TA2 (8.3.3.1), for the default rate is then kept; historical characters (8.3.2).
 * NOTE: 8.3.3.2 accepts at a cold reset TB1 = 00 only, and at the warm reset that follows a refusal any TB1 or none. The
 * reader tells one ATR and not after which reset, so that the second sentence decides.
 */
const RULES: readonly Rule[] = [
  {
    character: 'TC1',
    clause: '8.3.3.3: extra guard time none or the least',
    breaks: ({ tc }) => tc !== undefined && tc !== 0x00 && tc !== 0xff,
  },
  {
    character: 'TD1',
    clause: '8.3.3.4: T=0 or T=1',
    breaks: ({ td }) => td !== undefined && (td & 0x0f) > T1,
  },
  {
    character: 'TA2',
    clause: '8.3.3.5: the protocol that was named first, and b5 = 0: parameters by the interface characters',
    breaks: (_, { ta, t }) => ta !== undefined && ((ta & 0x0f) !== t || (ta & 0x10) !== 0),
  },
  {
    character: 'TA1',
    clause: '8.3.3.1: in specific mode a rate that terminals carry: F 372, D 1, 2 or 4',
    breaks: ({ ta: ta1 }, { ta: ta2 }) =>
      ta2 !== undefined && ta1 !== undefined && (ta1 < 0x11 || ta1 > 0x13),
  },
  { character: 'TB2', clause: '8.3.3.6: no programming voltage', breaks: (_, { tb }) => tb !== undefined },
  {
    character: 'TC2',
    clause: '8.3.3.7: waiting time 10; a character of T=0',
    breaks: (_, { tc, t }) => tc !== undefined && (tc !== 0x0a || t !== T0),
  },
  {
    character: 'TD2',
    clause: '8.3.3.8: T=1, or behind T=0 the global characters',
    breaks: (_, { td, t }) =>
      td !== undefined && (td & 0x0f) !== T1 && !(t === T0 && GLOBAL.includes(td & 0x0f)),
  },
  {
    character: 'TA3',
    clause: '8.3.3.9: IFSC 10 to FE',
    breaks: (_, __, { ta, t }) => t === T1 && ta !== undefined && (ta < 0x10 || ta === 0xff),
  },
  {
    character: 'TA3',
    clause:
      'ISO/IEC 7816-3, 8.3: as a global character it names at least one class of A, B and C and no other',
    breaks: (_, __, { ta, t }) =>
      GLOBAL.includes(t) && ta !== undefined && ((ta & 0x3f) === 0 || (ta & 0x3f) > 7),
  },
  {
    // NOTE: v4.3 also refused 2^CWI <= N + 1. With the two values of TC1 that is CWI 0 without extra guard time, which
    // a terminal can wait for just as well.
    character: 'TB3',
    clause: '8.3.3.10: needed with T=1; BWI at most 4, CWI at most 5',
    breaks: (_, two, { tb, t }) =>
      (t === T1 && tb !== undefined && (tb >> 4 > 4 || (tb & 0x0f) > 5)) ||
      (two.t === T1 && (t !== T1 || tb === undefined)),
  },
  {
    character: 'TC3',
    clause: '8.3.3.11: the error code is the LRC',
    breaks: (_, __, { tc, t }) => t === T1 && tc !== undefined && tc !== 0,
  },
]

/** Checks an ATR with what a terminal shall accept; the card speaks the protocol that it names first. */
export function checkAtr(atr: Uint8Array): AtrVerdict {
  if (atr.length < 2 || atr.length > MAX_ATR) return rejected('length')
  if (atr[0] !== 0x3b && atr[0] !== 0x3f) return rejected('TS is neither 3B nor 3F')
  const characters = readCharacters(atr)
  if (typeof characters === 'string') return rejected(characters)
  const { levels, historical, end } = characters
  const [one = NO_LEVEL, two = NO_LEVEL, three = NO_LEVEL] = levels
  const broken = RULES.find((rule) => rule.breaks(one, two, three))
  if (broken) return rejected(`${broken.character}, ${broken.clause}`)
  // 8.3.4: absent where T=0 alone is named, needed and right in every other case.
  if (levels.some(({ td }) => td !== undefined && (td & 0x0f) !== T0)) {
    if (end >= atr.length) return rejected('TCK missing')
    if (atr.subarray(1, end + 1).reduce((sum, byte) => sum ^ byte, 0) !== 0) return rejected('TCK')
  }
  return { kind: 'emv', protocol: two.t === T1 ? 'T=1' : 'T=0', historical }
}
