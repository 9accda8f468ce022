// Authorisation response codes 8A of the terminal's own making (EMV Book 4 v4.4, annex A6).
import { ascii } from '../../../hal/base/bytes.js'
import { TAG } from '../../../hal/base/tags.js'
import type { TransactionData } from './transaction-data.js'

export const RESPONSE_CODE = {
  offlineApproved: 'Y1',
  offlineDeclined: 'Z1',
  unableOnlineApproved: 'Y3',
  unableOnlineDeclined: 'Z3',
} as const

/** Sets 8A: two characters, the terminal's or the issuer's. */
export function setResponseCode(data: TransactionData, code: string): void {
  data.set(TAG.RESPONSE_CODE, ascii.encode(code))
}
