// The test payment scheme: an unregistered RID (ISO/IEC 7816-5, first nibble F), its applications and CA keys.

/** `F0` and "POST": proprietary without registration, so no real card answers to it. */
export const SCHEME_RID = 'F0504F5354'

/** Terminal AIDs of the scheme; the cards' own may be longer (partial selection, EMV Book 1, 12.3.2). */
export const SCHEME_AIDS = {
  credit: `${SCHEME_RID}1010`,
  debit: `${SCHEME_RID}2010`,
} as const

/** Issuer identification number of all test cards; 9 is for national bodies (ISO/IEC 7812-1), 999999 is nobody's. */
export const TEST_IIN = '999999'

/** The scheme's two CA keys and the issuer keys under them: short ones with exponent 3, long ones with 65537. */
export const CA_KEYS = {
  '01': { bits: 1408, exponent: 3, issuerBits: 1152 },
  '02': { bits: 1984, exponent: 65537, issuerBits: 1408 },
} as const
export type CaIndex = keyof typeof CA_KEYS

/** The same two CAs' ECC keys: an index is one key's alone, of whatever algorithm (EMV Book 2, 11.2.2). */
export const ECC_CA_KEYS = {
  '01': { index: '11', curve: 'P-256' },
  '02': { index: '12', curve: 'P-521' },
} as const satisfies Record<CaIndex, unknown>

/** Last day on which CA keys hold, YYYYMMDD; certificates expire in the same month. */
export const CA_EXPIRY = '20491231'
export const CERTIFICATE_EXPIRY_MMYY = '1249'

/** How a decision to approve or decline is named in tag 8A (EMV Book 4, annex A6). */
export const APPROVAL_CODES: readonly string[] = ['00', '10', '11', 'Y1', 'Y3']
