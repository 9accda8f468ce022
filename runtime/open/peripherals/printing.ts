// What app host and status row need of printing; the receipts' room serves it.
import type { ReceiptFacts } from '../../api/payments.js'
import type { PrintDocument, PrintResult } from '../../api/print-document.js'
import type { OpenStatus } from '../../bridge/contract.js'

export interface Printing {
  print(document: PrintDocument, signal: AbortSignal): Promise<PrintResult>
  receipt(facts: ReceiptFacts, copy: 'customer' | 'merchant', signal: AbortSignal): Promise<PrintResult>
  status(): OpenStatus['printer']
  /** Called when `status()` may have changed. Returns the unsubscriber. */
  on(listener: () => void): () => void
}
