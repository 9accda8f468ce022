// PKCS#11 as a driver of a board profile. Profile driver `pkcs11`.
import { Type } from 'typebox'
import type { Driver } from '../../board.js'
import type { SecureElement } from '../../secure-element.js'
import { openPkcs11Element, type Pkcs11Options } from './pkcs11-element.js'

const Path = Type.String({ minLength: 1, maxLength: 4096 })

export const pkcs11Driver: Driver<SecureElement> & {
  open(options: Pkcs11Options, context: Parameters<Driver['open']>[1]): Promise<SecureElement>
} = {
  name: 'pkcs11',
  deviceClass: 'secure-element',
  optionsSchema: Type.Object(
    {
      /** The token's library. */
      library: Path,
      tokenLabel: Type.String({ minLength: 1, maxLength: 32 }),
      /** File with the user PIN, for the secure world's eyes only. */
      pinFile: Path,
    },
    { additionalProperties: false },
  ),
  open: (options, context) => openPkcs11Element('pkcs11', options, context),
}
