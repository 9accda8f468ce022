// A signature on the pad: captured once card and host have agreed, kept with the payment as a picture; else it is on paper.

import { isPosternError } from '../../../hal/base/errors.js'
import type { StrokePoint } from '../../../hal/signature-pad.js'
import type { PaymentDependencies } from './payment-port.js'
import type { PaymentRecord, SignaturePicture } from './payment-record.js'

/** How long the cardholder may take. */
const SIGN_MS = 60_000
/** Times that a signature may be begun anew. */
const MOST_TRIES = 5
/** Points that are kept: a picture of some 10 KB at most. */
const MOST_POINTS = 1_200

type Needs = Pick<PaymentDependencies, 'signaturePad' | 'merchant' | 'ask' | 'texts' | 'log'>

/** Strokes as an SVG path, thinned to what is kept; undefined where nothing was drawn. */
function pathOf(strokes: readonly (readonly StrokePoint[])[]): string | undefined {
  const count = strokes.reduce((sum, stroke) => sum + stroke.length, 0)
  const every = Math.max(1, Math.ceil(count / MOST_POINTS))
  const at = ({ x, y }: StrokePoint) => `${Math.round(x)} ${Math.round(y)}`
  const lines = strokes
    .filter((stroke) => stroke.length > 0)
    .slice(0, MOST_POINTS)
    .map((stroke) => {
      const kept = stroke.filter((_, i) => i % every === 0 || i === stroke.length - 1)
      // A dot is a line of no length.
      return `M${at(kept[0]!)}L${kept.map(at).join(' ')}`
    })
  return lines.length === 0 ? undefined : lines.join('')
}

/** Asks for it where the document wants it on the pad. Undefined: it belongs on the paper. */
export async function captureSignature(
  { signaturePad: pad, merchant, ask, texts, log }: Needs,
  record: PaymentRecord,
): Promise<SignaturePicture | undefined> {
  if (record.signatureRequired !== true || merchant.signatureOnPad !== true || pad === undefined)
    return undefined
  const over = new AbortController()
  const { locale } = record
  const onPaper = ask(
    {
      kind: 'message',
      title: texts.text(locale, 'sign.title'),
      text: texts.text(locale, 'sign.text'),
      timeoutMs: SIGN_MS,
    },
    over.signal,
  ).then(() => undefined)
  try {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const outcome = await Promise.race([pad.capture(over.signal), onPaper])
      if (outcome === undefined) return undefined
      const path = outcome.kind === 'signed' ? pathOf(outcome.strokes) : undefined
      if (outcome.kind === 'signed' && path !== undefined)
        return { width: outcome.width, height: outcome.height, path }
    }
  } catch (error) {
    // A pad that fails leaves the paper.
    log.warn('signature.failed', { payment: record.key, fault: isPosternError(error) ? error.code : 'FAULT' })
  } finally {
    over.abort()
  }
  return undefined
}
