// A key package: what the key room sends a terminal over any road. Signed as a document; the key inside is a TR-31 block.
import { type Static, Type } from 'typebox'
import { equalBytes, erase, fromHex, toHex } from '../../../hal/base/bytes.js'
import { keyCheckValue } from '../../../hal/base/ciphers.js'
import { PosternError } from '../../../hal/base/errors.js'
import type { InitialKey } from './dukpt-terminal-keys.js'
import type { ProtectionKey } from './protection-key.js'
import { checkKeyBlock, type KeyBlockDemand, optionalData, unwrapTr31 } from './tr31.js'
import { MAX_TR31_CHARACTERS, parseTr31Header } from './tr31-header.js'

/** The body of a document of type `keys`. */
export const KeyPackage = Type.Object(
  {
    /** The one terminal that it is for. */
    terminalId: Type.String({ pattern: '^[A-Za-z0-9]{8}$' }),
    /** Counts the packages for a terminal's key set; one that is not higher than the last is a replay. */
    sequence: Type.Integer({ minimum: 1, maximum: 2 ** 32 - 1 }),
    /** The key set that takes it. */
    set: Type.String({ pattern: '^[a-z0-9-]{1,32}$' }),
    /** Initial DUKPT key under the terminal's key block protection key; version B for TDES, D for AES. */
    keyBlock: Type.String({ minLength: 16, maxLength: MAX_TR31_CHARACTERS }),
    /** Key check value, hex: what the acknowledgement must say too. */
    checkValue: Type.String({ pattern: '^[0-9A-F]{6,10}$' }),
  },
  { additionalProperties: false },
)
export type KeyPackage = Static<typeof KeyPackage>

/**
 * An initial DUKPT key: usage B1, mode X (derive), not exportable. A and C, which bind too loosely, are refused; an AES
 * key never travels under the weaker TDES.
 */
const DEMANDS: Readonly<Record<ProtectionKey['cipher'], KeyBlockDemand>> = {
  aes: { usage: 'B1', algorithms: ['A', 'T'], modes: ['X'], exportability: ['N'], versions: ['D'] },
  tdes: { usage: 'B1', algorithms: ['T'], modes: ['X'], exportability: ['N'], versions: ['B'] },
}

const refused = (why: string, details: Readonly<Record<string, string | number>> = {}) =>
  new PosternError('KEY_PACKAGE_REFUSED', `the key package is refused: ${why}`, details)

/** X9.143: `IK` carries an AES initial key id, `KS` the initial KSN of a TDES one; 16 and 20 hex digits. */
function idOf(header: Parameters<typeof optionalData>[0], scheme: 'aes' | 'tdes'): Uint8Array {
  const [block, digits] = scheme === 'aes' ? (['IK', 16] as const) : (['KS', 20] as const)
  const data = optionalData(header, block)
  if (data === undefined || data.length !== digits || !/^[0-9A-Fa-f]+$/.test(data))
    throw refused(`its block must name the key's id in an optional block ${block} of ${digits} hex digits`)
  return fromHex(data)
}

/**
 * Opens a package: the initial key in it, ready for `loadInitialKey`, and its check value.
 * @throws PosternError `KEY_PACKAGE_REFUSED`, `TR31_INVALID`, `TR31_REFUSED`, `TR31_ATTRIBUTE`
 */
export function openKeyPackage(
  kbpk: ProtectionKey,
  terminalId: string,
  offer: KeyPackage,
): { readonly initial: Required<InitialKey>; readonly checkValue: string } {
  if (offer.terminalId !== terminalId)
    throw refused('it is for another terminal', { terminalId: offer.terminalId })
  const demand = DEMANDS[kbpk.cipher]
  // Before anything else: no key is ever used under another cipher than its own.
  const { version } = parseTr31Header(offer.keyBlock)
  if (!demand.versions.includes(version))
    throw new PosternError(
      'TR31_ATTRIBUTE',
      `key block: its version is ${version}, this terminal's protection key takes ${demand.versions.join(', ')}`,
      { attribute: 'version', said: version },
    )
  const unwrapped = unwrapTr31(kbpk.key, offer.keyBlock)
  try {
    checkKeyBlock(unwrapped, demand)
    const { header, key } = unwrapped
    const scheme = header.algorithm === 'A' ? 'aes' : 'tdes'
    if (scheme === 'tdes' && key.length !== 16)
      throw refused('a TDES initial key has 16 bytes', { length: key.length })
    const said = fromHex(offer.checkValue)
    if (!equalBytes(keyCheckValue(scheme, key, said.length), said))
      throw refused('its check value is of another key')
    const ikid = idOf(header, scheme)
    return {
      initial: { scheme, ikid, key: key.slice(), sequence: offer.sequence },
      checkValue: toHex(said),
    }
  } finally {
    erase(unwrapped.key, unwrapped.padding)
  }
}
