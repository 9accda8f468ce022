// What a secure element's driver makes of a small data key that the hardware guards: AES-256-GCM (SP 800-38D) bound to a label.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { concat, erase } from '../base/bytes.js'
import { deviceError } from '../device-base.js'

/** Bound of `SecureElement.seal`. */
export const MAX_SEALED_BYTES = 4096
const NONCE_BYTES = 12
const TAG_BYTES = 16
const NAME = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$/

export const refusedSeal = (cause?: unknown) =>
  deviceError('DEVICE_PROTOCOL', 'sealed data refused', { detail: 'sealed data refused' }, cause)

/** @throws DeviceError `DEVICE_UNSUPPORTED` */
export function checkElementName(what: string, name: string): void {
  if (!NAME.test(name)) throw deviceError('DEVICE_UNSUPPORTED', `${what} has to be 1 to 64 plain characters`)
}

/** @throws DeviceError `DEVICE_UNSUPPORTED` */
export function checkSecretLength(secret: Uint8Array): void {
  if (secret.length > MAX_SEALED_BYTES)
    throw deviceError('DEVICE_UNSUPPORTED', `at most ${MAX_SEALED_BYTES} bytes can be sealed`)
}

/** nonce (12) | tag (16) | ciphertext; `bound` is authenticated with it. */
export function closeBox(key: Uint8Array, bound: Uint8Array, secret: Uint8Array): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(bound)
  const body = concat(cipher.update(secret), cipher.final())
  return concat(nonce, cipher.getAuthTag(), body)
}

/** @throws DeviceError `DEVICE_PROTOCOL` where it was not closed with this key and bound */
export function openBox(key: Uint8Array, bound: Uint8Array, box: Uint8Array): Uint8Array {
  const head = NONCE_BYTES + TAG_BYTES
  if (box.length < head || box.length > head + MAX_SEALED_BYTES) throw refusedSeal()
  const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(0, NONCE_BYTES))
    .setAAD(bound)
    .setAuthTag(box.subarray(NONCE_BYTES, head))
  const clear = decipher.update(box.subarray(head))
  try {
    decipher.final()
    return new Uint8Array(clear)
  } catch (error) {
    throw refusedSeal(error)
  } finally {
    erase(clear)
  }
}
