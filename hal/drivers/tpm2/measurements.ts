// Release-signed measurements: PolicyPCR and PolicyAuthorize digests (TPM 2.0 Library, Part 3, 23.7 and 23.16), and the signed list.
import { readFileSync } from 'node:fs'
import { type Static, Type } from 'typebox'
import { Check } from 'typebox/value'
import { ascii, concat, fromHex } from '../../base/bytes.js'
import { sha256 } from '../../base/ciphers.js'
import { deviceError } from '../../device-base.js'

const POLICY_PCR = fromHex('0000017F')
const POLICY_AUTHORIZE = fromHex('0000016A')
const SHA256_ID = fromHex('000B')
const ZERO = new Uint8Array(32)

/** What a release ships beside its image: the measurements of its boot, each signed by the release key (ECDSA P-256, DER). */
const Measurements = Type.Object(
  {
    approved: Type.Array(
      Type.Object(
        {
          release: Type.String({ maxLength: 64 }),
          /** PolicyPCR digest, hex. */
          policy: Type.String({ pattern: '^[0-9A-F]{64}$' }),
          signature: Type.String({ maxLength: 200, pattern: '^[A-Za-z0-9+/]+={0,2}$' }),
        },
        { additionalProperties: false },
      ),
      { maxItems: 64 },
    ),
  },
  { additionalProperties: false },
)
export type Measurements = Static<typeof Measurements>

/** PCR selection of the SHA-256 bank as the TPM marshals it (Part 2, 10.6.2). */
function selection(pcrs: readonly number[]): Uint8Array {
  const bits = new Uint8Array(3)
  for (const pcr of pcrs) bits[pcr >> 3]! |= 1 << (pcr & 7)
  return concat(fromHex('00000001'), SHA256_ID, Uint8Array.of(3), bits)
}

/** The policy that holds while these PCRs have these values; `values` in order of the PCRs' numbers, 32 bytes each. */
export function pcrPolicy(pcrs: readonly number[], values: readonly Uint8Array[]): Uint8Array {
  return sha256(ZERO, POLICY_PCR, selection(pcrs), sha256(...values))
}

/** The policy that holds where the key of this name has signed the one that holds now (empty policyRef). */
export function authorizedPolicy(releaseKeyName: Uint8Array): Uint8Array {
  return sha256(sha256(ZERO, POLICY_AUTHORIZE, releaseKeyName))
}

/** The signature that a release made for the policy that holds now; read anew each time, as an update brings another list. */
export function signatureFor(path: string, policy: string): Uint8Array {
  let list: unknown
  try {
    list = JSON.parse(ascii.decode(new Uint8Array(readFileSync(path))))
  } catch (error) {
    throw deviceError(
      'DEVICE_PROTOCOL',
      'the list of release-signed measurements cannot be read',
      { path },
      error,
    )
  }
  if (!Check(Measurements, list))
    throw deviceError('DEVICE_PROTOCOL', 'the list of release-signed measurements has another form', { path })
  const found = list.approved.find((entry) => entry.policy === policy)
  if (found === undefined) {
    throw deviceError(
      'DEVICE_PROTOCOL',
      'this system measures otherwise than any release that was signed: start a released image, or sign its measurements',
      { policy },
    )
  }
  return new Uint8Array(Buffer.from(found.signature, 'base64'))
}
