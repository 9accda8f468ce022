// A key package: what the key room sends a terminal over any road. Signed as a document; the key inside is a TR-31 block.
import { type Static, Type } from 'typebox'
import { equalBytes, erase, fromHex, toHex } from '../../../hal/base/bytes.js'
import { BLOCK_BYTES, cmac, encryptEcb, keyCheckValue } from '../../../hal/base/ciphers.js'
import { PosternError } from '../../../hal/base/errors.js'
import type { DukptSchemeName } from './dukpt-scheme.js'
import type { InitialKey } from './dukpt-terminal-keys.js'
import type { ProtectionKey } from './protection-key.js'
import { checkKeyBlock, type KeyBlockDemand, optionalData, type UnwrappedKey, unwrapTr31 } from './tr31.js'
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

/** An initial key out of its block, ready for `loadInitialKey`, and its check value, hex. */
export interface OpenedKeyBlock {
  readonly initial: InitialKey
  readonly checkValue: string
}

/** Unwraps an initial key and checks that it is one, for this place; `check` gets it before anybody else. */
function open(
  kbpk: ProtectionKey,
  keyBlock: string,
  check: (key: UnwrappedKey, scheme: DukptSchemeName) => Uint8Array,
): OpenedKeyBlock {
  const demand = DEMANDS[kbpk.cipher]
  // Before anything else: no key is ever used under another cipher than its own.
  const { version } = parseTr31Header(keyBlock)
  if (!demand.versions.includes(version))
    throw new PosternError(
      'TR31_ATTRIBUTE',
      `key block: its version is ${version}, this terminal's protection key takes ${demand.versions.join(', ')}`,
      { attribute: 'version', said: version },
    )
  const unwrapped = unwrapTr31(kbpk.key, keyBlock)
  try {
    checkKeyBlock(unwrapped, demand)
    const { header, key } = unwrapped
    const scheme = header.algorithm === 'A' ? 'aes' : 'tdes'
    if (scheme === 'tdes' && key.length !== 16)
      throw refused('a TDES initial key has 16 bytes', { length: key.length })
    const checkValue = toHex(check(unwrapped, scheme))
    return { initial: { scheme, ikid: idOf(header, scheme), key: key.slice() }, checkValue }
  } finally {
    erase(unwrapped.key, unwrapped.padding)
  }
}

/**
 * Opens a package: the initial key in it with the package's sequence, and its check value.
 * @throws PosternError `KEY_PACKAGE_REFUSED`, `TR31_INVALID`, `TR31_REFUSED`, `TR31_ATTRIBUTE`
 */
export function openKeyPackage(kbpk: ProtectionKey, terminalId: string, offer: KeyPackage): OpenedKeyBlock {
  if (offer.terminalId !== terminalId)
    throw refused('it is for another terminal', { terminalId: offer.terminalId })
  const { initial, checkValue } = open(kbpk, offer.keyBlock, ({ key }, scheme) => {
    const said = fromHex(offer.checkValue)
    if (!equalBytes(keyCheckValue(scheme, key, said.length), said))
      throw refused('its check value is of another key')
    return said
  })
  return { initial: { ...initial, sequence: offer.sequence }, checkValue }
}

/** Methods of optional block KC, by its first two digits: a block of zeros enciphered, or its CMAC (X9.143, KC). */
const CHECK_METHODS: Readonly<Record<string, (scheme: DukptSchemeName, key: Uint8Array) => Uint8Array>> = {
  '00': (scheme, key) => encryptEcb(scheme, key, new Uint8Array(BLOCK_BYTES[scheme])),
  '01': (scheme, key) => cmac(scheme, key, new Uint8Array(BLOCK_BYTES[scheme])),
}

/**
 * Opens a block that a host answered a key exchange with. Its check value stands in optional block KC, which it must
 * have. @throws PosternError as `openKeyPackage`
 */
export function openKeyBlock(kbpk: ProtectionKey, keyBlock: string): OpenedKeyBlock {
  return open(kbpk, keyBlock, ({ header, key }, scheme) => {
    const data = optionalData(header, 'KC') ?? ''
    const method = CHECK_METHODS[data.slice(0, 2)]
    // NOTE: three to eight bytes; X9.143 leaves the length to the method.
    if (method === undefined || !/^([0-9A-Fa-f]{2}){3,8}$/.test(data.slice(2)))
      throw refused("its block must say the key's check value in an optional block KC")
    const said = fromHex(data.slice(2))
    const own = method(scheme, key)
    try {
      if (!equalBytes(own.subarray(0, said.length), said)) throw refused('its check value is of another key')
    } finally {
      erase(own)
    }
    return said
  })
}
