// Fuzz of the ISO 8583 parsers: unpack, framing and security fields give a message or a typed error, and packing repeats it.
import { equalBytes } from '../../hal/base/bytes.js'
import { isPosternError } from '../../hal/base/errors.js'
import {
  type Dialect,
  defineDialect,
  pack,
  patchDialect,
  unpack,
} from '../../runtime/secure/payments/iso8583/codec.js'
import { describeMessage } from '../../runtime/secure/payments/iso8583/describe.js'
import { ISO87_ASCII, ISO87_ASCII_TABLE } from '../../runtime/secure/payments/iso8583/dialects/iso87-ascii.js'
import { ISO87_BINARY } from '../../runtime/secure/payments/iso8583/dialects/iso87-binary.js'
import { POSTERN_DEV } from '../../runtime/secure/payments/iso8583/dialects/postern-dev.js'
import { Deframer } from '../../runtime/secure/payments/iso8583/framing.js'
import { restyle } from '../../runtime/secure/payments/iso8583/notation.js'
import {
  decodeCardData,
  decodeSecurityControl,
} from '../../runtime/secure/payments/iso8583/security-fields.js'

const EBCDIC = defineDialect(
  patchDialect(
    restyle(ISO87_ASCII_TABLE, { digits: 'ebcdic', text: 'ebcdic', bytes: 'hex-ebcdic', prefix: 'ebcdic' }),
    { name: 'ebcdic' },
  ),
)
const DIALECTS: readonly Dialect[] = [ISO87_ASCII, ISO87_BINARY, EBCDIC, POSTERN_DEV]

const FIELDS: readonly (readonly [string, string | Uint8Array])[] = [
  ['4', '000000001250'],
  ['11', '000042'],
  ['22', '051'],
  ['37', '000000000007'],
  ['44', 'text'],
  ['70', '301'],
  ['90', '0'.repeat(42)],
]

/** A valid message of each dialect, so that mutations get past MTI, bitmap and layout. */
const SAMPLES: ReadonlyMap<Dialect, Uint8Array> = new Map(
  DIALECTS.map((dialect) => {
    const echo: readonly (readonly [string, string | Uint8Array])[] = [
      ['7', '1122054501'],
      ['11', '000042'],
      ['24', '001'],
      ['41', 'T0000001'],
      ['42', 'MERCHANT0000001'],
      ['53', new Uint8Array(15)],
      ['70', '301'],
      ['128', new Uint8Array(8)],
    ]
    return [dialect, pack(dialect, { mti: '0800', fields: new Map(dialect === POSTERN_DEV ? echo : FIELDS) })]
  }),
)

/** Each pair of bytes changes one byte of the sample; the last may cut it. */
function mutate(sample: Uint8Array, bytes: Uint8Array, seed: number): Uint8Array {
  const out = sample.slice()
  for (let at = 0; at + 1 < Math.min(bytes.length, 2 + (seed % 13)); at += 2)
    out[bytes[at]! % out.length] = bytes[at + 1]!
  return seed % 7 === 0 ? out.subarray(0, (bytes[0] ?? 0) % (out.length + 1)) : out
}

function typed<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch (error) {
    if (!isPosternError(error)) throw error
    return undefined
  }
}

export const target = {
  name: 'iso8583',
  run(bytes: Uint8Array, seed: number): void {
    const dialect = DIALECTS[seed % DIALECTS.length]!
    const input = seed % 16 === 0 ? bytes : mutate(SAMPLES.get(dialect)!, bytes, seed >> 2)
    const message = typed(() => unpack(dialect, input))
    if (message !== undefined) {
      describeMessage(dialect, message)
      const packed = pack(dialect, message)
      if (!equalBytes(pack(dialect, unpack(dialect, packed)), packed))
        throw new Error('packing is not stable')
    }
    typed(() => decodeCardData(bytes))
    typed(() => decodeSecurityControl(bytes))
    typed(() => {
      const reader = new Deframer(64)
      for (let at = 0; at < bytes.length; at += 7) reader.push(bytes.subarray(at, at + 7))
    })
  },
}
