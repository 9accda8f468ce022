// The message authentication code in DE64 or DE128: what it covers, and where it goes (ISO 8583:1987, 4.3.64 and 128).
import { PosternError } from '../../../../hal/base/errors.js'
import { type Dialect, type Message, pack } from './codec.js'

export const MAC_BYTES = 8

/** The field that holds the MAC: DE128 once any field above 64 is sent. */
export function macField(fields: Iterable<string>): '64' | '128' {
  for (const key of fields) if (Number(key) > 64) return '128'
  return '64'
}

/**
 * Packs a message with its MAC, the last 8 bytes; `makeMac` gets every byte before them.
 * @throws PosternError `ISO8583_INVALID`
 */
export async function packWithMac(
  dialect: Dialect,
  message: Message,
  makeMac: (covered: Uint8Array) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const fields = new Map(message.fields)
  fields.set(macField(fields.keys()), new Uint8Array(MAC_BYTES))
  const bytes = pack(dialect, { mti: message.mti, fields })
  const mac = await makeMac(bytes.subarray(0, bytes.length - MAC_BYTES))
  if (mac.length !== MAC_BYTES)
    throw new PosternError('ISO8583_INVALID', 'a MAC is 8 bytes here', { path: '64' })
  bytes.set(mac, bytes.length - MAC_BYTES)
  return bytes
}

/** Parts a packed message of a dialect whose MAC is binary into what is covered and its MAC. Checks nothing else. */
export function splitMac(bytes: Uint8Array): { covered: Uint8Array; mac: Uint8Array } {
  const at = Math.max(0, bytes.length - MAC_BYTES)
  return { covered: bytes.slice(0, at), mac: bytes.slice(at) }
}
