// What both sides of a cryptogram must agree on: session key, input, issuer application data, authentication data.
import { ascii, concat, equalBytes } from '../../../hal/base/bytes.js'
import { applicationCryptogram, arpcMethod1, arpcMethod2 } from './cryptogram.js'
import { atcDiversification, commonSessionKey } from './key-derivation.js'
import { APPROVAL_CODES } from './scheme.js'

/**
 * The scheme's cryptogram versions. 10: the card's key itself, zero padding, verification results in the input, ARPC by
 * method 1. 18: common session keys, padding 2, the whole issuer application data in the input, ARPC by method 2.
 */
export type CryptogramVersion = 10 | 18

const KEY_INDEX = 0x01
const CVR_LENGTH = 0x03
const two = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff)

/** Issuer application data 9F10: length, key index, version, card verification results (3 bytes behind their length). */
export function issuerApplicationData(version: CryptogramVersion, verification: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(3 + verification.length, KEY_INDEX, version, CVR_LENGTH), verification)
}

/** Reads 9F10; undefined where it is not of this scheme. */
export function readIssuerApplicationData(
  data: Uint8Array,
): { version: CryptogramVersion; verification: Uint8Array } | undefined {
  const version = data[2]
  if (data.length !== 7 || data[0] !== 6 || data[3] !== CVR_LENGTH || (version !== 10 && version !== 18))
    return undefined
  return { version, verification: data.slice(4) }
}

/** What a cryptogram is made of. */
export interface CryptogramParts {
  readonly version: CryptogramVersion
  /** The card's master key for cryptograms, 16 bytes. */
  readonly cardKey: Uint8Array
  /** Values of CRYPTOGRAM_DOL, joined. */
  readonly terminalData: Uint8Array
  readonly aip: Uint8Array
  readonly atc: number
  /** 9F10. */
  readonly issuerApplicationData: Uint8Array
}

const sessionKey = (version: CryptogramVersion, cardKey: Uint8Array, atc: number): Uint8Array =>
  version === 10 ? cardKey : commonSessionKey(cardKey, atcDiversification(two(atc)))

/** The cryptogram 9F26 (EMV Book 2, 8.1). */
export function makeCryptogram(parts: CryptogramParts): Uint8Array {
  const { version, issuerApplicationData: iad } = parts
  const own = version === 10 ? iad.subarray(3) : iad
  return applicationCryptogram(
    sessionKey(version, parts.cardKey, parts.atc),
    concat(parts.terminalData, parts.aip, two(parts.atc), own),
    version === 10 ? 1 : 2,
  )
}

/** What the issuer's answer is made of. */
export interface AuthenticationParts {
  readonly version: CryptogramVersion
  readonly cardKey: Uint8Array
  readonly atc: number
  readonly arqc: Uint8Array
}

/**
 * Issuer authentication data, value of tag 91: version 10 the ARPC and the response code (10 bytes), version 18 the ARPC
 * and the card status update (8 bytes). `trailer` is that code or update.
 */
export function makeIssuerAuthentication(parts: AuthenticationParts, trailer: Uint8Array): Uint8Array {
  const key = sessionKey(parts.version, parts.cardKey, parts.atc)
  const arpc =
    parts.version === 10 ? arpcMethod1(key, parts.arqc, trailer) : arpcMethod2(key, parts.arqc, trailer)
  return concat(arpc, trailer)
}

/** True if the data are the issuer's answer to this very cryptogram. */
export function verifyIssuerAuthentication(parts: AuthenticationParts & { data: Uint8Array }): boolean {
  const split = parts.version === 10 ? 8 : 4
  if (parts.data.length !== (parts.version === 10 ? 10 : 8)) return false
  return equalBytes(parts.data, makeIssuerAuthentication(parts, parts.data.slice(split)))
}

/** What authenticated data say of the issuer's decision: version 10 by its response code, version 18 by byte 2 bit 8. */
export function issuerApproves(version: CryptogramVersion, data: Uint8Array): boolean {
  return version === 10
    ? APPROVAL_CODES.includes(ascii.decode(data.subarray(8)))
    : ((data[5] ?? 0) & 0x80) !== 0
}
