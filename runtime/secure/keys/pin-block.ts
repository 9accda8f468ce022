// PIN blocks (ISO 9564-1:2017, 9.3 and 9.4): formats 0 to 3 in clear, format 4 enciphered. Digits are ASCII bytes, erased by the caller.
import { erase, xor } from '../../../hal/base/bytes.js'
import { decryptEcb, encryptEcb } from '../../../hal/base/ciphers.js'
import type { Random } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'

const invalid = (message: string, details = {}) => new PosternError('PIN_BLOCK_INVALID', message, details)

/** Checks ASCII digits and their number; never puts them into the error. */
function checkDigits(digits: Uint8Array, least: number, most: number, what: string): void {
  if (digits.length < least || digits.length > most || digits.some((byte) => byte < 0x30 || byte > 0x39)) {
    throw invalid(`${what} must be ${least} to ${most} digits`, { length: digits.length })
  }
}

function setNibble(block: Uint8Array, at: number, value: number): void {
  const index = at >> 1
  block[index] = at % 2 === 0 ? (value << 4) | (block[index]! & 0x0f) : (block[index]! & 0xf0) | value
}

function getNibble(block: Uint8Array, at: number): number {
  const byte = block[at >> 1]!
  return at % 2 === 0 ? byte >> 4 : byte & 0x0f
}

/** Control nibble, length and digits of a PIN, filled by `fill` for each nibble behind them. */
function pinField(format: number, pin: Uint8Array, length: number, fill: (at: number) => number): Uint8Array {
  checkDigits(pin, 4, 12, 'a PIN')
  const block = new Uint8Array(length)
  setNibble(block, 0, format)
  setNibble(block, 1, pin.length)
  for (let i = 0; i < pin.length; i++) setNibble(block, 2 + i, pin[i]! - 0x30)
  for (let at = 2 + pin.length; at < length * 2; at++) setNibble(block, at, fill(at))
  return block
}

/** Reads a PIN field of the format. @throws PosternError `PIN_BLOCK_INVALID` */
function readPinField(
  format: number,
  block: Uint8Array,
  fillOk: (nibble: number) => boolean,
  end: number,
): Uint8Array {
  if (getNibble(block, 0) !== format) throw invalid('another PIN block format', { format })
  const length = getNibble(block, 1)
  if (length < 4 || length > 12) throw invalid('a PIN has 4 to 12 digits', { length })
  const pin = new Uint8Array(length)
  let wrong = false
  for (let i = 0; i < length; i++) {
    const digit = getNibble(block, 2 + i)
    if (digit > 9) wrong = true
    pin[i] = digit + 0x30
  }
  for (let at = 2 + length; at < end; at++) if (!fillOk(getNibble(block, at))) wrong = true
  if (wrong) {
    erase(pin)
    throw invalid('PIN block does not hold a PIN')
  }
  return pin
}

/** PAN field of formats 0 and 3: the twelve rightmost digits without the check digit (ISO 9564-1, 9.3.2.3). */
function panField(pan: Uint8Array): Uint8Array {
  checkDigits(pan, 13, 19, 'a PAN')
  const block = new Uint8Array(8)
  for (let i = 0; i < 12; i++) setNibble(block, 4 + i, pan[pan.length - 13 + i]! - 0x30)
  return block
}

function checkLength(block: Uint8Array, length: number): void {
  if (block.length !== length) throw invalid('wrong length', { length: block.length, expected: length })
}

function randomNibbles(random: Random, least: number): (at: number) => number {
  const bytes = random(16)
  return (at) => least + (bytes[at % 16]! % (16 - least))
}

/** Exclusive-or of a field of 8 bytes, in clear, with the PAN field; the first is erased where it holds the PIN alone. */
function withPan(field: Uint8Array, pan: Uint8Array, own: boolean): Uint8Array {
  let digits: Uint8Array | undefined
  try {
    digits = panField(pan)
    return xor(field, digits)
  } finally {
    erase(digits)
    if (own) erase(field)
  }
}

/** Format 0: PIN and F fill, exclusive-or with the PAN field. 8 bytes, clear. @throws PosternError `PIN_BLOCK_INVALID` */
export function encodeFormat0(pin: Uint8Array, pan: Uint8Array): Uint8Array {
  return withPan(
    pinField(0, pin, 8, () => 0xf),
    pan,
    true,
  )
}

/** @throws PosternError `PIN_BLOCK_INVALID` */
export function decodeFormat0(block: Uint8Array, pan: Uint8Array): Uint8Array {
  checkLength(block, 8)
  const field = withPan(block, pan, false)
  try {
    return readPinField(0, field, (nibble) => nibble === 0xf, 16)
  } finally {
    erase(field)
  }
}

/** Format 1: PIN and a transaction field of random nibbles, for when no PAN is known. 8 bytes, clear. @throws PosternError `PIN_BLOCK_INVALID` */
export function encodeFormat1(pin: Uint8Array, random: Random): Uint8Array {
  return pinField(1, pin, 8, randomNibbles(random, 0))
}

/** @throws PosternError `PIN_BLOCK_INVALID` */
export function decodeFormat1(block: Uint8Array): Uint8Array {
  checkLength(block, 8)
  return readPinField(1, block, () => true, 16)
}

/** Format 2: PIN and F fill, for offline verification by the card (EMV Book 3, 6.5.12). 8 bytes, clear. @throws PosternError `PIN_BLOCK_INVALID` */
export function encodeFormat2(pin: Uint8Array): Uint8Array {
  return pinField(2, pin, 8, () => 0xf)
}

/** @throws PosternError `PIN_BLOCK_INVALID` */
export function decodeFormat2(block: Uint8Array): Uint8Array {
  checkLength(block, 8)
  return readPinField(2, block, (nibble) => nibble === 0xf, 16)
}

/** Format 3: as 0 with random fill of A to F. 8 bytes, clear. @throws PosternError `PIN_BLOCK_INVALID` */
export function encodeFormat3(pin: Uint8Array, pan: Uint8Array, random: Random): Uint8Array {
  return withPan(pinField(3, pin, 8, randomNibbles(random, 10)), pan, true)
}

/** @throws PosternError `PIN_BLOCK_INVALID` */
export function decodeFormat3(block: Uint8Array, pan: Uint8Array): Uint8Array {
  checkLength(block, 8)
  const field = withPan(block, pan, false)
  try {
    return readPinField(3, field, (nibble) => nibble >= 10, 16)
  } finally {
    erase(field)
  }
}

/** Plain text PIN field of format 4: PIN, A fill to 8 bytes, 8 random bytes (ISO 9564-1, 9.4.2.2). @throws PosternError `PIN_BLOCK_INVALID` */
export function format4PinField(pin: Uint8Array, random: Random): Uint8Array {
  const block = pinField(4, pin, 16, () => 0xa)
  block.set(random(8), 8)
  return block
}

/** @throws PosternError `PIN_BLOCK_INVALID` */
export function readFormat4PinField(field: Uint8Array): Uint8Array {
  checkLength(field, 16)
  return readPinField(4, field, (nibble) => nibble === 0xa, 16)
}

/** PAN field of format 4: length over 12, the whole PAN, zeros (ISO 9564-1, 9.4.2.3). @throws PosternError `PIN_BLOCK_INVALID` */
export function format4PanField(pan: Uint8Array): Uint8Array {
  checkDigits(pan, 1, 19, 'a PAN')
  const block = new Uint8Array(16)
  setNibble(block, 0, Math.max(0, pan.length - 12))
  const lead = 1 + Math.max(0, 12 - pan.length)
  for (let i = 0; i < pan.length; i++) setNibble(block, lead + i, pan[i]! - 0x30)
  return block
}

/** Enciphers a format 4 PIN field: `E(E(pin) xor pan)` under AES (ISO 9564-1, 9.4.2.4). 16 bytes. @throws PosternError `PIN_BLOCK_INVALID` */
export function encipherFormat4Field(key: Uint8Array, field: Uint8Array, pan: Uint8Array): Uint8Array {
  checkLength(field, 16)
  const panBlock = format4PanField(pan)
  const inner = encryptEcb('aes', key, field)
  const mixed = xor(inner, panBlock)
  const out = encryptEcb('aes', key, mixed)
  erase(inner, mixed, panBlock)
  return out
}

/** Takes the PIN field out of an enciphered format 4 block. @throws PosternError `PIN_BLOCK_INVALID` */
export function decipherFormat4Field(key: Uint8Array, block: Uint8Array, pan: Uint8Array): Uint8Array {
  checkLength(block, 16)
  const panBlock = format4PanField(pan)
  const mixed = decryptEcb('aes', key, block)
  const inner = xor(mixed, panBlock)
  const field = decryptEcb('aes', key, inner)
  erase(inner, mixed, panBlock)
  return field
}

/** Format 4 from PIN and PAN, 16 bytes, enciphered under an AES PIN key. @throws PosternError `PIN_BLOCK_INVALID` */
export function encipherFormat4(
  key: Uint8Array,
  pin: Uint8Array,
  pan: Uint8Array,
  random: Random,
): Uint8Array {
  const field = format4PinField(pin, random)
  try {
    return encipherFormat4Field(key, field, pan)
  } finally {
    erase(field)
  }
}

/** The PIN of an enciphered format 4 block; the host's side. @throws PosternError `PIN_BLOCK_INVALID` */
export function decipherFormat4(key: Uint8Array, block: Uint8Array, pan: Uint8Array): Uint8Array {
  const field = decipherFormat4Field(key, block, pan)
  try {
    return readFormat4PinField(field)
  } finally {
    erase(field)
  }
}
