// Integers and octets, big endian (EMV Book 2 v4.4, B2.6.1).

/** OS2I: big-endian bytes as a number; no bytes are 0. */
export function toInteger(bytes: Uint8Array): bigint {
  return BigInt(`0x0${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`)
}

/** I2OS (B2.6.1): a number as so many big-endian bytes. */
export function toOctets(value: bigint, length: number): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(length * 2, '0'), 'hex'))
}
