// Symbology identifiers of scanners: AIM's (ISO/IEC 15424) in front of a code, and Zebra's code types brought to them.

export interface IdentifiedCode {
  /** Without the bracket, as `hal/scanner.ts` tells it. */
  readonly aim: string | undefined
  readonly raw: Uint8Array
}

const isLetter = (byte: number) => (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a)
const isModifier = (byte: number) => isLetter(byte) || (byte >= 0x30 && byte <= 0x39)

/**
 * Takes a leading `]cm` off a code: a letter for the symbology, a digit or letter for its options. ISO/IEC 15424, 4.
 * @example splitAim(Buffer.from(']C1010034')) // aim 'C1', raw '010034'
 */
export function splitAim(code: Uint8Array): IdentifiedCode {
  const [flag = 0, letter = 0, modifier = 0] = code
  if (flag !== 0x5d || !isLetter(letter) || !isModifier(modifier)) return { aim: undefined, raw: code }
  return { aim: String.fromCharCode(letter, modifier), raw: code.slice(3) }
}

/**
 * Code types of SSI's DECODE_DATA as AIM identifiers. Sources: Symbol CS3000 guide, table B-1; PDT 68xx guide, table
 * F-6 (types 19 to 32 and the AIM column). 2D types are (K).
 * NOTE: the type does not tell the options of a symbology: the plainest modifier is given.
 */
const SSI_TYPES: Readonly<Record<number, string>> = {
  1: 'A0', // Code 39
  2: 'F0', // Codabar
  3: 'C0', // Code 128
  4: 'S0', // Discrete 2 of 5
  5: 'R0', // IATA 2 of 5
  6: 'I0', // Interleaved 2 of 5
  7: 'G0', // Code 93
  8: 'E0', // UPC-A
  9: 'E0', // UPC-E0
  10: 'E4', // EAN-8
  11: 'E0', // EAN-13
  12: 'H0', // Code 11
  14: 'M0', // MSI
  15: 'C1', // GS1-128
  16: 'E0', // UPC-E1
  17: 'L0', // PDF417
  21: 'X0', // Trioptic
  22: 'E0', // Bookland
  25: 'C0', // ISBT 128
  26: 'L0', // MicroPDF417
  27: 'd0', // Data Matrix
  28: 'Q0', // QR
  32: 'A0', // Code 32
  35: 'e0', // GS1 DataBar Limited
  36: 'e0', // GS1 DataBar-14
  37: 'e0', // GS1 DataBar Expanded
  45: 'z0', // Aztec
  48: 'e0', // RSS-14
  49: 'e0', // RSS Limited
  50: 'e0', // RSS Expanded
}

/** The AIM identifier of an SSI code type; undefined where the table has none. */
export const aimOfSsiType = (type: number): string | undefined => SSI_TYPES[type]
