// Keys of a card from keys of its issuer (EMV Book 2 v4.4, annex A1): master keys by PAN, session keys by transaction.
import { concat, fromHex, toHex, xor } from '../../../hal/base/bytes.js'
import { encryptEcb, oddParity, sha1 } from '../../../hal/base/ciphers.js'
import { PosternError } from '../../../hal/base/errors.js'
import { decimalise } from './pin.js'

/** @throws PosternError `ISSUER_INVALID` where a key is not two DES keys, 16 bytes. */
export function checkDoubleKey(key: Uint8Array, what: string): void {
  if (key.length !== 16)
    throw new PosternError('ISSUER_INVALID', `${what} must be 16 bytes`, { length: key.length })
}

function fromBlock(masterKey: Uint8Array, block: Uint8Array): Uint8Array {
  const inverse = block.map((byte) => byte ^ 0xff)
  return oddParity(encryptEcb('tdes', masterKey, concat(block, inverse)))
}

function panDigits(pan: string, sequence: string): string {
  if (!/^\d{8,19}$/.test(pan) || !/^\d{2}$/.test(sequence))
    throw new PosternError('ISSUER_INVALID', 'PAN must be 8 to 19 digits and its sequence number 2')
  return pan + sequence
}

/**
 * The card's master key by option A (A1.4.1): the 16 rightmost digits of PAN and sequence number. 16 bytes, odd parity.
 * @throws PosternError `ISSUER_INVALID`
 */
export function cardMasterKeyA(issuerKey: Uint8Array, pan: string, sequence = '00'): Uint8Array {
  checkDoubleKey(issuerKey, 'issuer master key')
  return fromBlock(issuerKey, fromHex(panDigits(pan, sequence).padStart(16, '0').slice(-16)))
}

/**
 * The card's master key by option B (A1.4.2): as A up to 16 digits of PAN, above it from the decimal digits of SHA-1.
 * @throws PosternError `ISSUER_INVALID`
 */
export function cardMasterKeyB(issuerKey: Uint8Array, pan: string, sequence = '00'): Uint8Array {
  if (pan.length <= 16) return cardMasterKeyA(issuerKey, pan, sequence)
  checkDoubleKey(issuerKey, 'issuer master key')
  const digits = panDigits(pan, sequence)
  const hash = toHex(sha1(fromHex(digits.length % 2 === 0 ? digits : `0${digits}`)))
  return fromBlock(issuerKey, fromHex(decimalise(hash, 16)))
}

/**
 * Common session key (A1.3.1) from 8 bytes of diversification: the ATC and six zeros for cryptograms, the cryptogram
 * itself for secure messaging. 16 bytes, odd parity. @throws PosternError `ISSUER_INVALID`
 */
export function commonSessionKey(cardKey: Uint8Array, diversification: Uint8Array): Uint8Array {
  checkDoubleKey(cardKey, 'card master key')
  if (diversification.length !== 8)
    throw new PosternError('ISSUER_INVALID', 'diversification must be 8 bytes', {
      length: diversification.length,
    })
  const left = diversification.slice()
  const right = diversification.slice()
  left[2] = 0xf0
  right[2] = 0x0f
  return oddParity(encryptEcb('tdes', cardKey, concat(left, right)))
}

/** Diversification of the cryptogram's session key: ATC and zeros (A1.3.1). */
export function atcDiversification(atc: Uint8Array): Uint8Array {
  return concat(atc, new Uint8Array(8 - atc.length))
}

/**
 * Session key for secure messaging of cryptogram version 10: the ATC and its inverse over the halves' last two bytes.
 * @throws PosternError `ISSUER_INVALID`
 */
export function atcSessionKey(cardKey: Uint8Array, atc: Uint8Array): Uint8Array {
  checkDoubleKey(cardKey, 'card master key')
  if (atc.length !== 2)
    throw new PosternError('ISSUER_INVALID', 'ATC must be 2 bytes', { length: atc.length })
  const mask = new Uint8Array(16)
  mask.set(atc, 6)
  mask.set(
    atc.map((byte) => byte ^ 0xff),
    14,
  )
  return oddParity(xor(cardKey, mask))
}

/** Shape of the tree of EMV2000 session keys: `branch` to the power `height` leaves, at least 65536. */
export interface KeyTree {
  readonly height: number
  readonly branch: number
  /** 16 bytes. */
  readonly iv: Uint8Array
}

/**
 * Session key of the EMV2000 tree (EMV 4.0 Book 2, A1.3): a leaf by ATC, mixed with its grandparent. 16 bytes, odd parity.
 * @throws PosternError `ISSUER_INVALID`
 */
export function treeSessionKey(cardKey: Uint8Array, atc: Uint8Array, tree: KeyTree): Uint8Array {
  checkDoubleKey(cardKey, 'card master key')
  if (atc.length !== 2)
    throw new PosternError('ISSUER_INVALID', 'ATC must be 2 bytes', { length: atc.length })
  if (tree.iv.length !== 16) throw new PosternError('ISSUER_INVALID', 'the tree needs an IV of 16 bytes')
  if (tree.branch ** tree.height < 65536)
    throw new PosternError('ISSUER_INVALID', 'the tree has fewer leaves than there are ATCs')
  const leaf = atc[0]! * 256 + atc[1]!
  let grandparent = tree.iv
  let parent = cardKey
  for (let level = 1; level <= tree.height; level++) {
    const child = branchKey(
      parent,
      grandparent,
      Math.floor(leaf / tree.branch ** (tree.height - level)),
      tree,
    )
    // The leaf is mixed with its grandparent, which is two levels up and still at hand here.
    if (level === tree.height) return oddParity(xor(child, grandparent))
    grandparent = parent
    parent = child
  }
  throw new PosternError('ISSUER_INVALID', 'the tree has no height')
}

/** The tree's function phi: the parent's key over the grandparent's halves, changed in their last byte by the branch. */
function branchKey(parent: Uint8Array, grandparent: Uint8Array, index: number, tree: KeyTree): Uint8Array {
  const input = grandparent.slice()
  input[7]! ^= index % tree.branch
  input[15]! ^= (index % tree.branch) ^ 0xf0
  return encryptEcb('tdes', parent, input)
}
