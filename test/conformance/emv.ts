// Handlers of emv/: the contact kernel, its data elements and its certificates against recorded cards and other kernels.
import type { Kind } from './vectors.js'

const KERNEL = 'the EMV contact kernel (runtime/secure/emv)'
const CONTACTLESS = 'the contactless kernels (runtime/secure/emv/contactless)'

export const EMV_KINDS: readonly Kind[] = [
  { kind: 'capk/capks', servedBy: KERNEL },
  { kind: 'card-images/*', servedBy: KERNEL },
  { kind: 'contact-flows/*', servedBy: KERNEL },
  { kind: 'contactless-entry-point/*', servedBy: CONTACTLESS },
  { kind: 'contactless-kernels/*', servedBy: CONTACTLESS },
  { kind: 'differential/*', servedBy: KERNEL },
  { kind: 'emv-utils/*', servedBy: KERNEL },
  { kind: 'transcripts/*', servedBy: KERNEL },
  { kind: 'pyemv.tlv.*', servedBy: 'BER-TLV (hal/base/tlv)' },
]
