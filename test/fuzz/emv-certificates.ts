// Fuzz target: recovered certificates and signed data of any content; RSA is left out by handing over what it would recover.
import { sha1 } from '../../hal/base/ciphers.js'
import {
  recoverIccCertificate,
  recoverIssuerCertificate,
  verifyIccCertificate,
  verifyIssuerCertificate,
} from '../../runtime/secure/emv/certificates.js'
import {
  recoverSignedDynamicData,
  verifyCombined,
} from '../../runtime/secure/emv/dynamic-data-authentication.js'
import {
  recoverSignedStaticData,
  verifySignedStaticData,
} from '../../runtime/secure/emv/static-data-authentication.js'

const empty = new Uint8Array()

/** Exponent 1 makes the public operation the identity: the signature is its own content. */
const identity = (length: number) => ({
  modulus: new Uint8Array(length).fill(0xff),
  exponent: Uint8Array.of(1),
})

export const target = {
  name: 'certificates and signed data',
  run(bytes: Uint8Array, seed: number): string {
    const content = bytes.subarray(0, 96)
    const signature = new Uint8Array(content.length + 23)
    signature[0] = 0x6a
    signature.set(content, 1)
    signature[1] = 2 + (seed % 4)
    const body = signature.subarray(1, 1 + content.length)
    signature.set(sha1(body), 1 + content.length)
    signature[signature.length - 1] = 0xbc
    const key = identity(signature.length)
    const context = {
      remainder: seed % 3 === 0 ? bytes : undefined,
      exponent: Uint8Array.of(3),
      pan: bytes.subarray(2, 10),
      today: Uint8Array.of(0x26, 0x11, 0x22),
    }
    const issuer = recoverIssuerCertificate(key, signature)
    const words: unknown[] = []
    if (issuer) words.push(verifyIssuerCertificate(issuer, { ...context, isRevoked: () => seed % 5 === 0 }))
    const icc = recoverIccCertificate(key, signature)
    if (icc) words.push(verifyIccCertificate(icc, { ...context, staticData: empty }))
    const fixed = recoverSignedStaticData(key, signature)
    if (fixed) words.push(verifySignedStaticData(fixed, empty))
    const dynamic = recoverSignedDynamicData(key, signature)
    if (dynamic)
      words.push(
        verifyCombined(dynamic, {
          unpredictableNumber: empty,
          dolData: [bytes],
          responseObjects: bytes,
          cid: seed & 0xff,
        }),
      )
    return words.map((word) => (typeof word === 'object' ? 'held' : word)).join()
  },
}
