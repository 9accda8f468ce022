// What the key room makes for terminals: their protection keys, initial keys in TR-31 blocks, and signed packages.
import { type KeyObject, sign } from 'node:crypto'
import { ascii, concat, erase, fromHex, toHex } from '../../hal/base/bytes.js'
import { cmac } from '../../hal/base/ciphers.js'
import type { Random } from '../../hal/base/clock.js'
import { PosternError } from '../../hal/base/errors.js'
import { type Envelope, signedBytes } from '../../runtime/secure/documents.js'
import { deriveInitialKey } from '../../runtime/secure/keys/aes-dukpt.js'
import type { DukptSchemeName } from '../../runtime/secure/keys/dukpt-scheme.js'
import type { KeyPackage } from '../../runtime/secure/keys/key-package.js'
import { deriveTdesInitialKey } from '../../runtime/secure/keys/tdes-dukpt.js'
import { checkValue } from './components.js'
import { paddingLength, wrapTr31 } from './tr31-wrap.js'

/**
 * A terminal's key block protection key from the key room's master key: SP 800-108 in counter mode over CMAC, with the
 * terminal's id as context; as long as the master key, 16 or 32 bytes.
 * @throws PosternError `KEY_INVALID`
 */
export function deriveProtectionKey(master: Uint8Array, terminalId: string): Uint8Array {
  if (master.length !== 16 && master.length !== 32)
    throw new PosternError('KEY_INVALID', 'a master key is an AES key of 16 or 32 bytes', {
      length: master.length,
    })
  const fixed = concat(
    ascii.encode('postern kbpk'),
    Uint8Array.of(0),
    ascii.encode(terminalId),
    Uint8Array.of((master.length * 8) >> 8, (master.length * 8) & 0xff),
  )
  const blocks: Uint8Array[] = []
  for (let i = 1; i * 16 <= master.length; i++)
    blocks.push(cmac('aes', master, concat(Uint8Array.of(i), fixed)))
  const key = concat(...blocks)
  erase(...blocks)
  return key
}

/** One terminal's order. */
export interface PackageOrder {
  readonly terminalId: string
  readonly set: string
  readonly sequence: number
  readonly scheme: DukptSchemeName
  /** Initial key id, 8 bytes; TDES: initial KSN, 10 bytes. Never given out before. */
  readonly id: Uint8Array
}

/**
 * Derives the initial key, wraps it under the terminal's protection key and signs the package.
 * @throws PosternError `DUKPT_INVALID`, `KEY_INVALID`
 */
export function makePackage(
  order: PackageOrder,
  keys: { readonly master: Uint8Array; readonly bdk: Uint8Array; readonly signer: KeyObject },
  random: Random,
): Envelope {
  const { terminalId, set, sequence, scheme, id } = order
  const initial = scheme === 'aes' ? deriveInitialKey(keys.bdk, id) : deriveTdesInitialKey(keys.bdk, id)
  const kbpk = deriveProtectionKey(keys.master, terminalId)
  try {
    const keyBlock = wrapTr31(
      kbpk,
      {
        version: 'D',
        usage: 'B1',
        algorithm: scheme === 'aes' ? 'A' : 'T',
        mode: 'X',
        keyVersion: '00',
        exportability: 'N',
        optional: [{ id: scheme === 'aes' ? 'IK' : 'KS', data: toHex(id) }],
      },
      initial,
      random(paddingLength('D', initial.length, 32)),
    )
    const body: KeyPackage = { terminalId, sequence, set, keyBlock, checkValue: checkValue(scheme, initial) }
    const text = JSON.stringify(body)
    const unsigned = { type: 'keys', version: sequence, body: text } as const
    return { ...unsigned, signature: sign(null, signedBytes(unsigned), keys.signer).toString('base64') }
  } finally {
    erase(initial, kbpk)
  }
}

/** The key room's book: which ids it has given out, so that none is given twice. No secret is in it. */
export interface RoomBook {
  /** Next device number by base key id. */
  readonly next: Readonly<Record<string, number>>
  /** Last sequence by `terminal set`. */
  readonly sequences: Readonly<Record<string, number>>
}

/** Takes the next id of a base key and the next sequence of a terminal's set. @throws PosternError `KEY_INVALID` */
export function nextOrder(
  book: RoomBook,
  scheme: DukptSchemeName,
  bdkId: string,
  terminalId: string,
  set: string,
): { readonly order: PackageOrder; readonly book: RoomBook } {
  const digits = scheme === 'aes' ? 8 : 10
  if (!new RegExp(`^[0-9A-F]{${digits}}$`).test(bdkId))
    throw new PosternError('KEY_INVALID', `the id of this base key is ${digits} hex digits`)
  const number = book.next[bdkId] ?? 1
  // X9.24-3, 6.1: 4 bytes name the device; X9.24-1, A.2: 19 bits do, above 21 bits of counter.
  if (number >= (scheme === 'aes' ? 2 ** 32 : 2 ** 19))
    throw new PosternError('KEY_INVALID', 'the device numbers of this base key are used up')
  const tail = scheme === 'aes' ? BigInt(number) : BigInt(number) << 21n
  const id = fromHex(
    bdkId +
      tail
        .toString(16)
        .toUpperCase()
        .padStart(scheme === 'aes' ? 8 : 10, '0'),
  )
  const sequence = (book.sequences[`${terminalId} ${set}`] ?? 0) + 1
  return {
    order: { terminalId, set, sequence, scheme, id },
    book: {
      next: { ...book.next, [bdkId]: number + 1 },
      sequences: { ...book.sequences, [`${terminalId} ${set}`]: sequence },
    },
  }
}
