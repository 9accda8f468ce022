// The message authentication code in DE64 or DE128: what it covers, and where it goes (ISO 8583:1987, 4.3.64 and 128).
import { PosternError } from '../../../../hal/base/errors.js'
import { type Dialect, type Message, macField, pack } from './codec.js'
import { packField, unpackField } from './field.js'
import { fieldError, Writer } from './wire.js'

export const MAC_BYTES = 8

/** The wire of a MAC is always the message's end: 8 bytes, or 16 digits in dialects without binary. */
function macOf(dialect: Dialect) {
  const field = dialect.fields[64]
  if (field === undefined) throw fieldError('64', `${dialect.name} has no MAC`)
  return { field, wireBytes: field.encoding === 'binary' ? MAC_BYTES : MAC_BYTES * 2 }
}

/**
 * Packs a message with its MAC, the last field; `makeMac` gets every byte before it.
 * @throws PosternError `ISO8583_INVALID`
 */
export async function packWithMac(
  dialect: Dialect,
  message: Message,
  makeMac: (covered: Uint8Array) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const { field, wireBytes } = macOf(dialect)
  const fields = new Map(message.fields)
  fields.set(macField(fields.keys()), new Uint8Array(MAC_BYTES))
  const bytes = pack(dialect, { mti: message.mti, fields })
  const at = bytes.length - wireBytes
  const mac = await makeMac(bytes.subarray(0, at))
  if (mac.length !== MAC_BYTES)
    throw new PosternError('ISO8583_INVALID', 'a MAC is 8 bytes here', { path: '64' })
  const writer = new Writer(wireBytes)
  packField(writer, field, mac, '64')
  bytes.set(writer.finish(), at)
  return bytes
}

/**
 * Parts a packed message into what its MAC covers and the MAC. Checks nothing else.
 * @throws PosternError `ISO8583_INVALID` where the last bytes cannot be a MAC
 */
export function splitMac(dialect: Dialect, bytes: Uint8Array): { covered: Uint8Array; mac: Uint8Array } {
  const { field, wireBytes } = macOf(dialect)
  const at = Math.max(0, bytes.length - wireBytes)
  const mac = unpackField({ bytes, at }, field, '64') as Uint8Array
  return { covered: bytes.slice(0, at), mac: mac.slice() }
}
