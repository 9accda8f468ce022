// The two DUKPTs as one shape: what the registers need to know of AES (ANSI X9.24-3:2017) and of TDES (X9.24-1:2009).
import * as aes from './aes-dukpt.js'
import * as tdes from './tdes-dukpt.js'

/** Which DUKPT a key set runs. */
export type DukptSchemeName = 'aes' | 'tdes'

/** How a terminal walks the tree of derivation keys; register `i` holds the key of the counter that ends in bit `i`. */
export interface DukptScheme {
  readonly name: DukptSchemeName
  /** Length of what names the initial key: IKID, or the initial KSN with its counter at zero. */
  readonly idBytes: number
  readonly keyLengths: readonly number[]
  readonly registers: number
  isUsable(counter: number): boolean
  /** @throws PosternError `KSN_EXHAUSTED` */
  next(counter: number): number
  step(parent: Uint8Array, id: Uint8Array, counter: number): Uint8Array
  ksn(id: Uint8Array, counter: number): Uint8Array
}

export const DUKPT_SCHEMES: Readonly<Record<DukptSchemeName, DukptScheme>> = {
  aes: {
    name: 'aes',
    idBytes: aes.IKID_BYTES,
    keyLengths: [16, 24, 32],
    registers: 32,
    isUsable: aes.isUsableCounter,
    next: aes.nextCounter,
    step: aes.deriveStep,
    ksn: aes.makeKsn,
  },
  tdes: {
    name: 'tdes',
    idBytes: tdes.TDES_KSN_BYTES,
    keyLengths: [16],
    registers: 21,
    isUsable: tdes.isUsableTdesCounter,
    next: tdes.nextTdesCounter,
    step: tdes.deriveTdesStep,
    ksn: tdes.makeTdesKsn,
  },
}

/** Bits of a counter, and the most ones that a used one has (X9.24-3, 6.3.3; X9.24-1, A.3). */
const COUNTER_SHAPE: Readonly<Record<DukptSchemeName, readonly [bits: number, ones: number]>> = {
  aes: [32, 16],
  tdes: [21, 10],
}

/** How many numbers of `bits` bits have at most `ones` ones. */
function numbersWithin(bits: number, ones: number): number {
  let count = 0
  for (let k = 0, choose = 1; k <= Math.min(bits, ones); choose = (choose * (bits - k)) / (k + 1), k++)
    count += choose
  return count
}

/** How many counters a device uses before it comes to `counter`; all that there are for 0, which is behind the last. */
export function usableCounters(name: DukptSchemeName, counter: number): number {
  const [bits, most] = COUNTER_SHAPE[name]
  if (counter === 0) return numbersWithin(bits, most) - 1
  let count = 0
  let ones = 0
  for (let bit = bits - 1; bit >= 0 && ones <= most; bit--) {
    if (Math.floor(counter / 2 ** bit) % 2 === 0) continue
    count += numbersWithin(bit, most - ones)
    ones++
  }
  return count - 1 // zero is no counter
}
