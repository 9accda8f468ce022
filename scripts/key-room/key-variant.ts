// Key variants of older host security modules: a number on the high bits of each DES key's first byte.
import { PosternError } from '../../hal/base/errors.js'

/**
 * Variant 0 to 31 of a TDES key of 8, 16 or 24 bytes: the number, times eight, exclusive-or the first byte of each
 * single-length part. For key rooms that exchange keys with such a module; a terminal has no use for it.
 * @throws PosternError `KEY_VARIANT_INVALID`
 */
export function tdesKeyVariant(key: Uint8Array, variant: number): Uint8Array {
  if (![8, 16, 24].includes(key.length))
    throw new PosternError('KEY_VARIANT_INVALID', 'a TDES key is 8, 16 or 24 bytes', { length: key.length })
  if (!Number.isInteger(variant) || variant < 0 || variant > 31)
    throw new PosternError('KEY_VARIANT_INVALID', 'a variant is 0 to 31', { variant })
  return key.map((byte, at) => (at % 8 === 0 ? byte ^ (variant << 3) : byte))
}
