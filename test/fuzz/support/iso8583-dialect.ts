// Fuzz of one dialect: any bytes and any changed message give a message or a typed error, and what was read packs the same.
import { equalBytes } from '../../../hal/base/bytes.js'
import { isPosternError } from '../../../hal/base/errors.js'
import { pack, unpack } from '../../../runtime/secure/payments/iso8583/codec.js'
import { describeMessage } from '../../../runtime/secure/payments/iso8583/describe.js'
import {
  type DialectName,
  hostDialect,
} from '../../../runtime/secure/payments/iso8583/dialects/host-dialects.js'
import { fromFields, toFields } from '../../../runtime/secure/payments/iso8583/host-message.js'
import { packWithMac, splitMac } from '../../../runtime/secure/payments/iso8583/mac.js'
import type { FuzzTarget } from '../../../scripts/check/fuzz-engine.js'
import { choicesOf } from './choices.js'
import { answerTo, REQUESTS } from './host-messages.js'

/** Typed: the word for it. Anything else is a defect. */
export function typed<T>(act: () => T): T | string {
  try {
    return act()
  } catch (error) {
    if (!isPosternError(error)) throw error
    return `${error.code} ${String(error.details?.['path'] ?? '').slice(0, 8)}`
  }
}

/** Whole messages of the dialect, each with a MAC of zeros. */
export async function samplesOf(name: DialectName): Promise<Uint8Array[]> {
  const dialect = hostDialect(name)
  const all = REQUESTS.flatMap((request) => [request, answerTo(request)])
  return Promise.all(
    all.map((message) =>
      packWithMac(dialect.wire, toFields(dialect, message), async () => new Uint8Array(8)),
    ),
  )
}

/** A sample with bytes changed, dropped or put in as `bytes` say. */
export function changed(sample: Uint8Array, bytes: Uint8Array): Uint8Array {
  const choices = choicesOf(bytes)
  let out: Uint8Array = sample.slice()
  for (let change = 0; choices.left && change < 12; change++) {
    const at = choices.below(Math.max(out.length, 1))
    const how = choices.below(8)
    if (how === 0) out = out.slice(0, at)
    else if (how === 1) out = Buffer.concat([out.subarray(0, at), choices.bytes(1), out.subarray(at)])
    else if (how === 2) out = Buffer.concat([out.subarray(0, at), out.subarray(at + 1)])
    else if (out.length > 0) out[at] = choices.below(256)
  }
  return new Uint8Array(out)
}

export async function dialectTarget(name: DialectName): Promise<FuzzTarget> {
  const dialect = hostDialect(name)
  const samples = await samplesOf(name)
  return {
    name: `iso8583 ${name}`,
    run(bytes, seed) {
      const input = seed % 8 === 0 ? bytes : changed(samples[seed % samples.length]!, bytes)
      const message = typed(() => unpack(dialect.wire, input))
      if (typeof message === 'string') return message
      for (const line of describeMessage(dialect.wire, message))
        if (line.length > 4096) throw new Error('a line of the description is out of bounds')
      const meaning = typed(() => fromFields(dialect, message))
      typed(() => splitMac(dialect.wire, input))
      const packed = pack(dialect.wire, message)
      if (!equalBytes(pack(dialect.wire, unpack(dialect.wire, packed)), packed))
        throw new Error('packing is not stable')
      if (typeof meaning === 'string') return meaning
      typed(() => toFields(dialect, meaning))
      return `${message.mti} ${meaning.elements.responseCode ?? ''}`.slice(0, 8)
    },
  }
}
