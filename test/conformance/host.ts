// Handlers of host/: ciphers, MACs, keys, PIN blocks and ISO 8583 against other projects' vectors.
import { fromHex, toHex } from '../../hal/base/bytes.js'
import * as ciphers from '../../hal/base/ciphers.js'
import { PosternError } from '../../hal/base/errors.js'
import { tdesKeyVariant } from '../../scripts/key-room/key-variant.js'
import { ISO8583_KINDS } from './host-iso8583.js'
import { KEY_KINDS } from './host-keys.js'
import { TLV_KINDS } from './host-tlv.js'
import { TR31_KINDS } from './host-tr31.js'
import { ISSUER_KINDS } from './issuer.js'
import { expectResult, type Handler, type Kind, type Vector } from './vectors.js'

/** A handler for `{inputs} → {expected: {result}}` of hex. */
function hexResult(act: (inputs: Vector) => Uint8Array): Handler {
  return (vector) => expectResult(vector, 'result', () => toHex(act(vector.inputs)))
}

/** psec numbers paddings 1 to 3 and lets a length be asked for. */
function padding(value: unknown): ciphers.Padding {
  if (value === 1 || value === 2 || value === 3) return value
  throw new PosternError('CIPHER_INVALID', 'unknown padding')
}

const cut = (mac: Uint8Array, length: number | null): Uint8Array => mac.slice(0, length ?? mac.length)

const mode =
  (cipher: ciphers.BlockCipher, run: 'encrypt' | 'decrypt') =>
  (inputs: Vector): Uint8Array => {
    const key = fromHex(inputs.key)
    const data = fromHex(inputs.data)
    if (inputs.iv === undefined)
      return run === 'encrypt' ? ciphers.encryptEcb(cipher, key, data) : ciphers.decryptEcb(cipher, key, data)
    return run === 'encrypt'
      ? ciphers.encryptCbc(cipher, key, fromHex(inputs.iv), data)
      : ciphers.decryptCbc(cipher, key, fromHex(inputs.iv), data)
  }

const blockSize = (inputs: Vector, cipherBlock: number): number => inputs.block_size ?? cipherBlock

const PSEC: readonly Kind[] = [
  ...(['aes', 'tdes'] as const).flatMap((cipher) =>
    (['encrypt', 'decrypt'] as const).map(
      (run): Kind => ({
        kind: `psec.${cipher === 'aes' ? 'aes' : 'des'}.${run}_${cipher}_*`,
        handler: hexResult(mode(cipher, run)),
      }),
    ),
  ),
  {
    kind: 'psec.mac.pad_iso_1',
    handler: hexResult((i) => ciphers.padMethod1(fromHex(i.data), blockSize(i, 8))),
  },
  {
    kind: 'psec.mac.pad_iso_2',
    handler: hexResult((i) => ciphers.padMethod2(fromHex(i.data), blockSize(i, 8))),
  },
  {
    kind: 'psec.mac.pad_iso_3',
    handler: hexResult((i) => ciphers.padMethod3(fromHex(i.data), blockSize(i, 8))),
  },
  {
    kind: 'psec.mac.generate_cbc_mac',
    handler: hexResult((i) => {
      const cipher = i.algorithm === 'AES' ? 'aes' : 'tdes'
      return cut(ciphers.cbcMac(cipher, fromHex(i.key), fromHex(i.data), padding(i.padding)), i.length)
    }),
  },
  {
    kind: 'psec.mac.generate_retail_mac',
    handler: hexResult((i) =>
      cut(
        ciphers.macAlgorithm3(fromHex(i.key1), fromHex(i.key2), fromHex(i.data), padding(i.padding)),
        i.length,
      ),
    ),
  },
  {
    kind: 'psec.des.generate_kcv',
    handler: hexResult((i) => ciphers.keyCheckValue('tdes', fromHex(i.key), i.length)),
  },
  { kind: 'psec.des.adjust_key_parity', handler: hexResult((i) => ciphers.oddParity(fromHex(i.key))) },
  {
    kind: 'psec.des.apply_key_variant',
    handler: hexResult((i) => tdesKeyVariant(fromHex(i.key), i.variant)),
  },
]

/** pyemv's own copies of the primitives; its EMV functions are the issuer's. */
const PYEMV_TOOLS: readonly Kind[] = [
  {
    kind: 'pyemv.tools.encrypt_tdes_*',
    handler: hexResult(mode('tdes', 'encrypt')),
  },
  { kind: 'pyemv.tools.adjust_key_parity', handler: hexResult((i) => ciphers.oddParity(fromHex(i.key))) },
  {
    kind: 'pyemv.tools.key_check_digits',
    handler: hexResult((i) => ciphers.keyCheckValue('tdes', fromHex(i.key), i.length)),
  },
  {
    kind: 'pyemv.mac.pad_iso9797_1',
    handler: hexResult((i) => ciphers.padMethod1(fromHex(i.data), blockSize(i, 8))),
  },
  {
    kind: 'pyemv.mac.pad_iso9797_2',
    handler: hexResult((i) => ciphers.padMethod2(fromHex(i.data), blockSize(i, 8))),
  },
  {
    kind: 'pyemv.mac.mac_iso9797_3',
    handler: hexResult((i) =>
      cut(
        ciphers.macAlgorithm3(fromHex(i.key1), fromHex(i.key2), fromHex(i.data), padding(i.padding)),
        i.length,
      ),
    ),
  },
]

export const HOST_KINDS: readonly Kind[] = [
  ...PSEC,
  ...KEY_KINDS,
  ...TLV_KINDS,
  ...TR31_KINDS,
  ...ISO8583_KINDS,
  ...PYEMV_TOOLS,
  ...ISSUER_KINDS,
]
