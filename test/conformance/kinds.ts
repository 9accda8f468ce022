// The one table of vector kinds: each with its handler, or the part of the product that will serve it.
import { EMV_KINDS } from './emv.js'
import { HOST_KINDS } from './host.js'
import type { Kind } from './vectors.js'

/** The first row that fits a vector's kind serves it. */
export const KINDS: readonly Kind[] = [
  ...EMV_KINDS,
  ...HOST_KINDS,
  { kind: 'emvco.mpm', servedBy: 'the QR tender (runtime/secure/payments/tenders)' },
  { kind: 'emvco.cpm', servedBy: 'the QR tender (runtime/secure/payments/tenders)' },
]
