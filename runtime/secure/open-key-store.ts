// Opens the key store that the configuration names: the board's secure element, or a passphrase in development.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { erase } from '../../hal/base/bytes.js'
import type { Random } from '../../hal/base/clock.js'
import { PosternError } from '../../hal/base/errors.js'
import type { Board } from '../../hal/board.js'
import { openElementKeyStore } from './keys/element-key-store.js'
import { openFileKeyStore } from './keys/file-key-store.js'
import type { KeyStore } from './keys/key-store.js'
import type { SecureConfig } from './secure-config.js'

/** @throws PosternError `BOARD_UNUSABLE`, `CONFIG_INVALID`, and what the stores throw */
export async function openKeyStore(
  config: Pick<SecureConfig, 'dataDir' | 'keyStore' | 'passphraseFile'>,
  board: Pick<Board, 'device'>,
  random: Random,
): Promise<KeyStore> {
  const folder = join(config.dataDir, 'keys')
  if (config.keyStore === 'secure-element') {
    const element = board.device('secure-element')
    if (element === undefined)
      throw new PosternError(
        'BOARD_UNUSABLE',
        'keys are to lie in the secure element, and this board has none that works',
      )
    return openElementKeyStore({ folder, element, random })
  }
  if (config.passphraseFile === undefined)
    throw new PosternError(
      'CONFIG_INVALID',
      "secure world's configuration: passphraseFile: the key store `file` needs it",
    )
  const passphrase = new Uint8Array(readFileSync(config.passphraseFile))
  try {
    return await openFileKeyStore({ folder, passphrase, random })
  } finally {
    erase(passphrase)
  }
}
