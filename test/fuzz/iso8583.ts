// Fuzz of the ISO 8583 parsers: unpack, framing and security fields give a message or a typed error, and packing repeats it.
import { equalBytes } from '../../hal/base/bytes.js'
import { isPosternError } from '../../hal/base/errors.js'
import { type Dialect, pack, unpack } from '../../runtime/secure/payments/iso8583/codec.js'
import { describeMessage } from '../../runtime/secure/payments/iso8583/describe.js'
import { DIALECT_NAMES, hostDialect } from '../../runtime/secure/payments/iso8583/dialects/host-dialects.js'
import { ISO87_ASCII } from '../../runtime/secure/payments/iso8583/dialects/iso87-ascii.js'
import { ISO87_BINARY } from '../../runtime/secure/payments/iso8583/dialects/iso87-binary.js'
import { ISO87_EBCDIC } from '../../runtime/secure/payments/iso8583/dialects/iso87-ebcdic.js'
import { ISO93 } from '../../runtime/secure/payments/iso8583/dialects/iso93.js'
import { Deframer } from '../../runtime/secure/payments/iso8583/framing.js'
import { fromFields, type HostMessage, toFields } from '../../runtime/secure/payments/iso8583/host-message.js'
import {
  decodeCardData,
  decodeSecurityControl,
} from '../../runtime/secure/payments/iso8583/security-fields.js'

const HOSTS = DIALECT_NAMES.map((name) => hostDialect(name))
const TERMINAL: readonly Dialect[] = HOSTS.map(({ wire }) => wire)
const DIALECTS: readonly Dialect[] = [ISO87_ASCII, ISO87_BINARY, ISO87_EBCDIC, ISO93, ...TERMINAL]

const FIELDS: readonly (readonly [string, string | Uint8Array])[] = [
  ['4', '000000001250'],
  ['11', '000042'],
  ['22', '051'],
  ['37', '000000000007'],
  ['44', 'text'],
  ['70', '301'],
  ['90', '0'.repeat(42)],
]

const SALE: HostMessage = {
  type: 'financial',
  role: 'request',
  elements: {
    nii: '001',
    terminalId: 'TERM0001',
    merchantId: 'MERCHANT0000001',
    processing: 'cashback',
    amountMinor: '1250',
    cashbackMinor: '250',
    currency: '978',
    transmitted: '1122054501',
    local: '261122064501',
    stan: '000042',
    entryMode: 'chip',
    condition: 'normal',
    batch: '000007',
    receipt: '000123',
    security: new Uint8Array(15),
    emv: Uint8Array.of(0x9f, 0x26, 0x01, 0x00),
  },
}

/** A valid message of each dialect, so that mutations get past MTI, bitmap and layout. */
const SAMPLES: ReadonlyMap<Dialect, Uint8Array> = new Map(
  DIALECTS.map((dialect) => {
    const index = TERMINAL.indexOf(dialect)
    if (index < 0) {
      const fields =
        dialect === ISO93 ? FIELDS.filter(([key]) => key === '4' || key === '11' || key === '44') : FIELDS
      return [dialect, pack(dialect, { mti: '0800', fields: new Map(fields) })]
    }
    const { mti, fields } = toFields(HOSTS[index]!, SALE)
    return [dialect, pack(dialect, { mti, fields: new Map([...fields, ['64', new Uint8Array(8)]]) })]
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
      const index = TERMINAL.indexOf(dialect)
      if (index >= 0) typed(() => fromFields(HOSTS[index]!, message))
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
