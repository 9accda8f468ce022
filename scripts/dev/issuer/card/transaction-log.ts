// The card's transaction log (EMV Book 3, annex D): ten records in file 11, their format in 9F4F.
import { concat, toHex } from '../../../../hal/base/bytes.js'
import { type DolEntry, dolValue } from '../dol.js'
import type { ApplicationState } from './card-state.js'

const ENTRIES = 10

/** Date, amount, currency, ATC, cryptogram information data. */
export const LOG_DOL: readonly DolEntry[] = [
  { tag: 0x9a, length: 3 },
  { tag: 0x9f02, length: 6 },
  { tag: 0x5f2a, length: 2 },
  { tag: 0x9f36, length: 2 },
  { tag: 0x9f27, length: 1 },
]

/** Adds a finished transaction. */
export function logTransaction(
  state: ApplicationState,
  dol: readonly DolEntry[],
  data: Uint8Array,
  cryptogramInformation: number,
): void {
  const own: Readonly<Record<number, Uint8Array>> = {
    [0x9f36]: Uint8Array.of(state.atc >> 8, state.atc & 0xff),
    [0x9f27]: Uint8Array.of(cryptogramInformation),
  }
  const values = LOG_DOL.map(
    ({ tag, length }) => own[tag] ?? dolValue(dol, data, tag) ?? new Uint8Array(length),
  )
  state.log = [toHex(concat(...values)), ...state.log].slice(0, ENTRIES)
}
