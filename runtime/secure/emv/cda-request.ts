// When a cryptogram is asked for with a signature (EMV Book 4 v4.4, 6.3.2.1; Book 2, 6.6).
import type { OdaResult } from './offline-data-authentication.js'

/** NOTE: CDA mode 1 (Book 4, 6.3.2.1): asked for with each ARQC and TC, first and second. */
export function cdaRequest(oda: OdaResult, earlierDolData: readonly Uint8Array[]) {
  return oda.method === 'CDA' && oda.iccKey ? { key: oda.iccKey, earlierDolData } : undefined
}
