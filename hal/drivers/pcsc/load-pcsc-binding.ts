// Which PC/SC library serves: the one that is built for the Node that runs.
import { PosternError } from '../../base/errors.js'
import type { PcscBinding } from './pcsc-binding.js'

/** The libraries that can be behind the trait, the one that is taken first at the top. */
const LIBRARIES = {
  '@pokusew/pcsclite': async (): Promise<PcscBinding> =>
    (await import('./pcsclite-binding.js')).pcscliteBinding(),
  smartcard: async (): Promise<PcscBinding> => (await import('./smartcard-binding.js')).smartcardBinding(),
} as const
export type PcscLibrary = keyof typeof LIBRARIES
export const PCSC_LIBRARIES = Object.keys(LIBRARIES) as readonly PcscLibrary[]

/**
 * Loads the library that the profile names, or the first that is built for this Node.
 * @throws PosternError `DEVICE_UNSUPPORTED` saying what to install, where none is
 */
export async function loadPcscBinding(wanted?: PcscLibrary): Promise<PcscBinding> {
  const causes: unknown[] = []
  const tried = wanted === undefined ? PCSC_LIBRARIES : [wanted]
  for (const name of tried) {
    try {
      return await LIBRARIES[name]()
    } catch (cause) {
      causes.push(cause)
    }
  }
  throw new PosternError(
    'DEVICE_UNSUPPORTED',
    `the PC/SC library is not built here: install libpcsclite-dev, pcscd and a C++ compiler, then npm rebuild ${tried.join(' ')}`,
    { packages: tried.join(', ') },
    causes[0],
  )
}
