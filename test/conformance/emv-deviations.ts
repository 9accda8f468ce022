// Where a recorded outcome and the book disagree: one table of predicate, clause and reason for all of emv/.
//
// The rows hold for recordings of another program only (README of the vectors, trust 3): a file whose outcomes somebody
// asserted passes whole. A row applies after the comparison has failed, in the one direction that it names, and never by
// a case's name.
import { fromHex } from '../../hal/base/bytes.js'
import { encodeTlvList, parseTlv } from '../../hal/base/tlv.js'
import { atrCharacters } from './emv-atr.js'
import { skipped, type Vector, type VectorFile, type Verdict } from './vectors.js'

/** What decides, beside the vector: what the product came to. */
type Got = unknown

export interface Deviation {
  readonly kind: 'atr' | 'read-afl-records' | 'processing-restrictions'
  readonly applies: (vector: Vector, got: Got) => boolean
  readonly clause: string
  readonly why: string
}

/** The product accepted an ATR that the recorder refused. */
const accepted = (vector: Vector, got: Got) => got === 'OK' && vector.expect.outcome === 'CARD_ERROR'
const characters = (vector: Vector) => atrCharacters(fromHex(vector.atr))

/** TA1 that ISO/IEC 7816-3, tables 7 and 8 leave open, or slower than four times the default rate, or for 4 MHz only. */
function isRateUnfitForRecorder(ta1: number): boolean {
  const [f, d] = [ta1 >> 4, ta1 & 0x0f]
  return f === 0 || f === 7 || f === 8 || f > 13 || d < 3 || d > 9
}

/** Not one or more whole COMPACT-TLV objects (ISO/IEC 7816-4, 8.1.1), and for category 00 three bytes of status behind them. */
function isCompactTlvBroken(historical: Uint8Array): boolean {
  const category = historical[0]
  if (category !== 0x00 && category !== 0x80) return false
  const end = historical.length - (category === 0x00 ? 3 : 0)
  if (end <= 1) return true
  let at = 1
  while (at < end) at += 1 + (historical[at]! & 0x0f)
  return at !== end
}

const answers = (vector: Vector): Uint8Array[] =>
  vector.exchanges.map(({ r }: Vector) => fromHex(r.slice(0, -4)))

/** Data objects with 00 bytes around them. */
function isPadded(data: Uint8Array): boolean {
  try {
    return encodeTlvList(parseTlv(data)).length < data.length
  } catch {
    return false
  }
}

const CONTACT = 'EMV Contact Interface Specification'

export const DEVIATIONS: readonly Deviation[] = [
  {
    kind: 'atr',
    applies: (vector, got) => accepted(vector, got) && isCompactTlvBroken(characters(vector).historical),
    clause: `${CONTACT}, 8.3.2: T0 of any value that fits the characters returned; no clause has the terminal read historical characters`,
    why: 'the recorder parses them as ISO/IEC 7816-4, 8.1.1 has it, and refuses what does not parse',
  },
  {
    kind: 'atr',
    applies: (vector, got) => {
      const { tb1 } = characters(vector)
      return (
        accepted(vector, got) &&
        tb1 !== undefined &&
        tb1 !== 0 &&
        ((tb1 & 0x1f) < 5 || (tb1 & 0x1f) > 25 || (tb1 & 0x60) === 0x60)
      )
    },
    clause: `${CONTACT}, 8.3.3.2: TB1 of any value is accepted (warm reset), Vpp is never generated`,
    why: 'the recorder refuses programming voltages and currents that ISO/IEC 7816-3:1997 reserved',
  },
  {
    kind: 'atr',
    applies: (vector, got) => {
      const { ta1, ta2 } = characters(vector)
      return accepted(vector, got) && ta1 !== undefined && ta2 === undefined && isRateUnfitForRecorder(ta1)
    },
    clause: `${CONTACT}, 8.3.3.1: TA1 without TA2 is accepted and the default rate kept`,
    why: 'the recorder refuses rates that are reserved, or that it would not negotiate',
  },
  {
    kind: 'atr',
    applies: (vector, got) => {
      const { td1, td2 } = characters(vector)
      return accepted(vector, got) && ((td1 ?? 0) & 0x0f) === 0 && [1, 14].includes((td2 ?? 0) & 0x0f)
    },
    clause: `${CONTACT}, 8.3.3.8: behind T=0, TD2 may name T=1`,
    why: 'the recorder takes nothing but T=15 behind T=0',
  },
  {
    kind: 'atr',
    applies: (vector, got) => accepted(vector, got) && characters(vector).levels > 3,
    clause: `${CONTACT}, 8.3.3: the rules end with TC3`,
    why: 'the recorder reads what follows TD3 as ISO/IEC 7816-3 has it',
  },
  {
    kind: 'atr',
    applies: (vector, got) => {
      const { td2, tb3, tc3 } = characters(vector)
      return accepted(vector, got) && ((td2 ?? 0) & 0x0f) === 15 && (tb3 ?? tc3) !== undefined
    },
    clause: `${CONTACT}, 8.3.3.10 and 8.3.3.11: TB3 and TC3 are read where TD2 names T=1`,
    why: 'the recorder reads global TB and TC as ISO/IEC 7816-3, 8.3 has it',
  },
  {
    kind: 'atr',
    applies: (vector, got) =>
      got === 'CARD_ERROR' && vector.expect.outcome === 'OK' && characters(vector).tb2 !== undefined,
    clause: `${CONTACT}, 8.3.3.6: an ATR with TB2 is rejected`,
    why: 'the recorder takes TB2 where TB1 speaks of Vpp',
  },
  {
    kind: 'read-afl-records',
    applies: (vector, got) =>
      vector.expect.outcome === 'READ_RECORD_INVALID' || vector.expect.outcome === 'READ_RECORD_PARSE_FAILED'
        ? got === 'it went on' && answers(vector).some(isPadded)
        : false,
    clause: 'Book 3, annex B1: 00 bytes before, between and after data objects have no meaning',
    why: 'the recorder refuses them in a record and behind it',
  },
  {
    kind: 'read-afl-records',
    applies: (vector, got) =>
      /^ODA_RECORD_INVALID/.test(vector.expect.outcome) &&
      got === 'OK' &&
      answers(vector).some((data) => data.length === 2 && data[0] === 0x70 && data[1] === 0),
    clause:
      'Book 3, 10.3: authentication fails for a record that is not coded with tag 70; an empty template is, and adds nothing',
    why: 'the recorder cannot append nothing to its buffer',
  },
  {
    kind: 'processing-restrictions',
    applies: (vector, got) => {
      const given = [vector.given.params, vector.given.config?.data ?? vector.given.config].flatMap(
        (list) => list ?? [],
      )
      const value = (tag: string): string => given.find(({ t }: Vector) => t === tag)?.v ?? ''
      const withServiceBit = BigInt(`0x${vector.expect.tvr}`) | 0x10_0000_00n
      return (
        (value('9C') === '09' || (value('9C') === '00' && /[1-9A-F]/.test(value('9F03')))) &&
        BigInt(`0x${got}`) === withServiceBit
      )
    },
    clause:
      'Book 3, 10.4.2, table 36: a purchase needs its bit and a cashback amount needs its own, whatever 9C says',
    why: 'the recorder looks at one row by 9C: cashback alone for 09, goods and services alone for 00',
  },
]

/** True for files of outcomes that a program came to and nobody asserted. */
export function isRecorded(file: VectorFile): boolean {
  return file.key.startsWith('differential/') || /DIFFERENTIAL/.test(String(file.document?.source?.how ?? ''))
}

/** Turns a failure into a skip where a row says that the book is on the product's side. */
export function unlessDeviation(
  kind: Deviation['kind'],
  verdict: Verdict,
  got: Got,
  vector: Vector,
  file: VectorFile,
): Verdict {
  if (verdict.kind !== 'failed' || !isRecorded(file)) return verdict
  const row = DEVIATIONS.find((deviation) => deviation.kind === kind && deviation.applies(vector, got))
  return row ? skipped(`the book is on our side: ${row.clause}; ${row.why}`) : verdict
}
