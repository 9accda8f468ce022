// What the cardholder reads: preferred name in a code table that the terminal has, else the label (EMV Book 1 v4.4, 12.4; Book 4, 11.3).
import { ascii, toHex } from '../../../hal/base/bytes.js'

/** Additional Terminal Capabilities (9F40): which byte and mask announces ISO/IEC 8859 part n (Book 4, annex A3). */
export const CODE_TABLE_BIT: Readonly<Record<number, readonly [byte: number, mask: number]>> = {
  1: [5, 0x01],
  2: [5, 0x02],
  3: [5, 0x04],
  4: [5, 0x08],
  5: [5, 0x10],
  6: [5, 0x20],
  7: [5, 0x40],
  8: [5, 0x80],
  9: [4, 0x01],
  10: [4, 0x02],
}

/** True if 9F40 says that the terminal can show that code table. */
export function supportsCodeTable(additionalCapabilities: Uint8Array, index: number): boolean {
  const row = CODE_TABLE_BIT[index]
  return row !== undefined && (additionalCapabilities[row[0] - 1]! & row[1]) !== 0
}

/**
 * The name to show: 9F12 if its code table (9F11) is supported, else 50, else the AID in hex.
 * Control characters are dropped; at most 16 characters.
 */
export function displayName(
  fields: {
    preferredName: Uint8Array | undefined
    codeTable: number | undefined
    label: Uint8Array | undefined
    aid: Uint8Array
  },
  additionalCapabilities: Uint8Array,
): string {
  const { preferredName, codeTable, label, aid } = fields
  if (preferredName && codeTable !== undefined && supportsCodeTable(additionalCapabilities, codeTable)) {
    const name = clean(new TextDecoder(`iso-8859-${codeTable}`).decode(preferredName))
    if (name !== '') return name
  }
  const fromLabel = label ? clean(ascii.decode(label)) : ''
  return fromLabel !== '' ? fromLabel : toHex(aid)
}

function clean(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}]/gu, '')
    .trim()
    .slice(0, 16)
}

/** Two-letter codes out of 5F2D, lower case, at most four (Book 1, 11.3.4). Rubbish gives none. */
export function languages(preference: Uint8Array | undefined): string[] {
  if (!preference || preference.length % 2 !== 0 || preference.length > 8) return []
  const text = ascii.decode(preference).toLowerCase()
  const out: string[] = []
  for (let at = 0; at < text.length; at += 2) {
    const code = text.slice(at, at + 2)
    if (/^[a-z]{2}$/.test(code)) out.push(code)
  }
  return out
}
