// TPM 2.0 as a driver of a board profile. Profile driver `tpm2`.
import { Type } from 'typebox'
import type { Driver } from '../../board.js'
import type { SecureElement } from '../../secure-element.js'
import { openTpm2Element } from './tpm2-element.js'

const Path = Type.String({ minLength: 1, maxLength: 4096 })

interface Tpm2DriverOptions {
  readonly tcti?: string
  readonly releaseKey: string
  readonly measurements: string
  readonly pcrs?: readonly number[]
}

/** Firmware, its configuration, boot loader, secure boot and kernel (TCG PC Client profile, 3.3.4). */
const DEFAULT_PCRS = [0, 2, 4, 7, 8, 9]

export const tpm2Driver: Driver<SecureElement> & {
  open(options: Tpm2DriverOptions, context: Parameters<Driver['open']>[1]): Promise<SecureElement>
} = {
  name: 'tpm2',
  deviceClass: 'secure-element',
  optionsSchema: Type.Object(
    {
      /** As tpm2-tools name it; the kernel's resource manager unless told. */
      tcti: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
      /** PEM of the key that signs releases' measurements. */
      releaseKey: Path,
      /** The signed list that the running release brought. */
      measurements: Path,
      pcrs: Type.Optional(
        Type.Array(Type.Integer({ minimum: 0, maximum: 23 }), { minItems: 1, maxItems: 24 }),
      ),
    },
    { additionalProperties: false },
  ),
  open: ({ tcti = 'device:/dev/tpmrm0', releaseKey, measurements, pcrs = DEFAULT_PCRS }, context) =>
    openTpm2Element(
      'tpm2',
      { tcti, releaseKey, measurements, pcrs: [...pcrs].sort((a, b) => a - b) },
      context,
    ),
}
