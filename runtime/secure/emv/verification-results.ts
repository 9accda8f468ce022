// Terminal Verification Results (95) and Transaction Status Information (9B) bit by bit (EMV Book 3 v4.4, annexes C5 and C6).

/** A bit: its byte (from 1, as the books count) and its mask. */
export interface ResultBit {
  readonly byte: number
  readonly mask: number
  readonly name: string
}

const bit = (byte: number, number: number, name: string): ResultBit => ({
  byte,
  mask: 1 << (number - 1),
  name,
})

/** Book 3, annex C5. */
export const TVR = {
  odaNotPerformed: bit(1, 8, 'Offline data authentication was not performed'),
  sdaFailed: bit(1, 7, 'SDA failed'),
  iccDataMissing: bit(1, 6, 'ICC data missing'),
  onExceptionFile: bit(1, 5, 'Card appears on terminal exception file'),
  ddaFailed: bit(1, 4, 'DDA failed'),
  cdaFailed: bit(1, 3, 'CDA failed'),
  sdaSelected: bit(1, 2, 'SDA selected'),
  xdaSelected: bit(1, 1, 'XDA selected'),
  versionsDiffer: bit(2, 8, 'ICC and terminal have different application versions'),
  expired: bit(2, 7, 'Expired application'),
  notYetEffective: bit(2, 6, 'Application not yet effective'),
  serviceNotAllowed: bit(2, 5, 'Requested service not allowed for card product'),
  newCard: bit(2, 4, 'New card'),
  cvmFailed: bit(3, 8, 'Cardholder verification was not successful'),
  cvmUnrecognised: bit(3, 7, 'Unrecognised CVM'),
  pinTryLimitExceeded: bit(3, 6, 'PIN Try Limit exceeded'),
  pinPadMissing: bit(3, 5, 'PIN entry required and PIN pad not present or not working'),
  pinNotEntered: bit(3, 4, 'PIN entry required, PIN pad present, but PIN was not entered'),
  onlinePinEntered: bit(3, 3, 'Online CVM captured'),
  floorLimitExceeded: bit(4, 8, 'Transaction exceeds floor limit'),
  lowerLimitExceeded: bit(4, 7, 'Lower consecutive offline limit exceeded'),
  upperLimitExceeded: bit(4, 6, 'Upper consecutive offline limit exceeded'),
  randomlySelected: bit(4, 5, 'Transaction selected randomly for online processing'),
  merchantForcedOnline: bit(4, 4, 'Merchant forced transaction online'),
  xdaFailed: bit(4, 1, 'XDA signature verification failed'),
  defaultTdolUsed: bit(5, 8, 'Default TDOL used'),
  issuerAuthenticationFailed: bit(5, 7, 'Issuer authentication failed'),
  scriptFailedBefore: bit(5, 6, 'Script processing failed before final GENERATE AC'),
  scriptFailedAfter: bit(5, 5, 'Script processing failed after final GENERATE AC'),
  caEccKeyMissing: bit(5, 3, 'CA ECC key missing'),
  eccKeyRecoveryFailed: bit(5, 2, 'ECC key recovery failed'),
} as const
export type TvrBit = keyof typeof TVR

/** Book 3, annex C6. */
export const TSI = {
  odaPerformed: bit(1, 8, 'Offline data authentication was performed'),
  cvmPerformed: bit(1, 7, 'Cardholder verification was performed'),
  cardRiskManagementPerformed: bit(1, 6, 'Card risk management was performed'),
  issuerAuthenticationPerformed: bit(1, 5, 'Issuer authentication was performed'),
  terminalRiskManagementPerformed: bit(1, 4, 'Terminal risk management was performed'),
  scriptProcessingPerformed: bit(1, 3, 'Script processing was performed'),
} as const
export type TsiBit = keyof typeof TSI

/** Application Interchange Profile (82), byte 1 (Book 3, annex C1). */
export const AIP = {
  xda: bit(1, 8, 'XDA supported'),
  sda: bit(1, 7, 'SDA supported'),
  dda: bit(1, 6, 'DDA supported'),
  cardholderVerification: bit(1, 5, 'Cardholder verification is supported'),
  terminalRiskManagement: bit(1, 4, 'Terminal risk management is to be performed'),
  issuerAuthentication: bit(1, 3, 'Issuer authentication is supported'),
  cda: bit(1, 1, 'CDA supported'),
} as const

/** Terminal Capabilities (9F33; Book 4, annex A2). */
export const CAPABILITY = {
  plaintextPin: bit(2, 8, 'Plaintext PIN for ICC verification'),
  onlinePin: bit(2, 7, 'Enciphered PIN for online verification'),
  signature: bit(2, 6, 'Signature'),
  encipheredPin: bit(2, 5, 'Enciphered PIN for offline verification (RSA ODE)'),
  noCvm: bit(2, 4, 'No CVM required'),
  encipheredPinEcc: bit(2, 1, 'Enciphered PIN for offline verification (ECC ODE)'),
  sda: bit(3, 8, 'SDA'),
  dda: bit(3, 7, 'DDA'),
  cda: bit(3, 4, 'CDA'),
  xda: bit(3, 3, 'XDA'),
} as const

/** True if the bit is set in the value; an absent or short value has no bits. */
export function hasBit(value: Uint8Array | undefined, which: ResultBit): boolean {
  return ((value?.[which.byte - 1] ?? 0) & which.mask) !== 0
}
