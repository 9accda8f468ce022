// Conformance handlers of the issuer's side: cryptograms, key derivation, secure messaging, PVV, IBM 3624, CVV.
import { ascii, fromHex, toHex } from '../../hal/base/bytes.js'
import { PosternError } from '../../hal/base/errors.js'
import { applicationCryptogram, arpcMethod1, arpcMethod2 } from '../../scripts/dev/issuer/cryptogram.js'
import { cardVerificationValue, dynamicVerificationCode } from '../../scripts/dev/issuer/cvv.js'
import {
  atcSessionKey,
  cardMasterKeyA,
  cardMasterKeyB,
  commonSessionKey,
  treeSessionKey,
} from '../../scripts/dev/issuer/key-derivation.js'
import { ibm3624Offset, ibm3624Pin, pinVerificationValue } from '../../scripts/dev/issuer/pin.js'
import {
  commandMac,
  type DataCipher,
  encipherCommandData,
  newPinBlock,
  pinBlockFormat2,
} from '../../scripts/dev/issuer/secure-messaging.js'
import { expectResult, type Kind } from './vectors.js'

type Inputs = Readonly<Record<string, unknown>>

const text = (value: unknown): string => {
  if (typeof value !== 'string') throw new PosternError('VECTOR_INVALID', 'the input is not text')
  return value
}
const bytes = (value: unknown): Uint8Array => fromHex(text(value))
/** The vectors give digits as digits or, where that is too long to be digits, as the hex of their ASCII. */
const digits = (value: unknown, longest: number): string => {
  const given = text(value)
  return given.length > longest ? ascii.decode(fromHex(given)) : given
}
const orNone = <T>(value: unknown, read: (value: unknown) => T): T | undefined =>
  value === null || value === undefined ? undefined : read(value)
const whole = (mac: Uint8Array, length: unknown): string =>
  toHex(mac.slice(0, orNone(length, Number) ?? mac.length))

function choice<T>(value: unknown, table: Readonly<Record<string, T>>): T {
  const found = table[String(value)]
  if (found === undefined) throw new PosternError('VECTOR_INVALID', 'not one of the named choices')
  return found
}

/** A PIN of the vectors: digits, or the hex of their ASCII where that reads as 4 to 12 digits. */
function pin(value: unknown): string {
  const given = text(value)
  return given.length >= 6 && /^(3\d)+$/.test(given) ? ascii.decode(fromHex(given)) : given
}

function ibm3624(inputs: Inputs) {
  return {
    key: bytes(inputs['pvk']),
    table: text(inputs['conversion_table']),
    pan: text(inputs['pan']),
    from: Number(inputs['pan_verify_offset']),
    length: Number(inputs['pan_verify_length']),
    pad: text(inputs['pan_pad']),
  }
}

/** By `algo`: each gives the `result`, or throws where the vector wants a refusal. */
const RESULTS: Readonly<Record<string, (inputs: Inputs) => string>> = {
  'pyemv.ac.generate_ac': (i) =>
    whole(
      applicationCryptogram(
        bytes(i['sk_ac']),
        bytes(i['data']),
        choice(i['padding_type'], { null: 2, EMV: 2, VISA: 1 }),
      ),
      i['length'],
    ),
  'pyemv.ac.generate_arpc_1': (i) =>
    toHex(arpcMethod1(bytes(i['sk_ac']), bytes(i['arqc']), bytes(i['arpc_rc']))),
  'pyemv.ac.generate_arpc_2': (i) =>
    toHex(
      arpcMethod2(bytes(i['sk_ac']), bytes(i['arqc']), bytes(i['csu']), orNone(i['prop_auth_data'], bytes)),
    ),
  'pyemv.kd.derive_icc_mk_a': (i) =>
    toHex(
      cardMasterKeyA(
        bytes(i['iss_mk']),
        digits(i['pan'], 19),
        orNone(i['psn'], (v) => digits(v, 2)),
      ),
    ),
  'pyemv.kd.derive_icc_mk_b': (i) =>
    toHex(
      cardMasterKeyB(
        bytes(i['iss_mk']),
        digits(i['pan'], 19),
        orNone(i['psn'], (v) => digits(v, 2)),
      ),
    ),
  'pyemv.kd.derive_common_sk': (i) => toHex(commonSessionKey(bytes(i['icc_mk']), bytes(i['r']))),
  'pyemv.kd.derive_visa_sm_sk': (i) => toHex(atcSessionKey(bytes(i['icc_mk']), bytes(i['atc']))),
  'pyemv.kd.derive_emv2000_tree_sk': (i) =>
    toHex(
      treeSessionKey(bytes(i['icc_mk']), bytes(i['atc']), {
        height: Number(i['height']),
        branch: Number(i['branch_factor']),
        iv: bytes(i['iv']),
      }),
    ),
  'pyemv.sm.generate_command_mac': (i) =>
    toHex(commandMac(bytes(i['sk_smi']), bytes(i['command']), orNone(i['length'], Number))),
  'pyemv.sm.encrypt_command_data': (i) =>
    toHex(
      encipherCommandData(
        bytes(i['sk_smc']),
        bytes(i['command_data']),
        choice<DataCipher>(i['encryption_type'], { VISA: 'ecb-length', MASTERCARD: 'cbc-short', EMV: 'cbc' }),
      ),
    ),
  'pyemv.sm.format_vis_pin_block': (i) =>
    toHex(newPinBlock(bytes(i['icc_mk_ac']), pin(i['pin']), orNone(i['current_pin'], pin))),
  'pyemv.sm.format_iso9564_2_pin_block': (i) => toHex(pinBlockFormat2(pin(i['pin']))),
  'pyemv.cvv.generate_cvc3': (i) =>
    dynamicVerificationCode(
      bytes(i['icc_cvc3']),
      bytes(i['track_template']),
      bytes(i['un']),
      bytes(i['atc']),
    ),
  'psec.cvv.generate_cvv': (i) =>
    cardVerificationValue(bytes(i['cvk']), text(i['pan']), text(i['expiry']), text(i['service_code'])),
  'psec.pin.generate_visa_pvv': (i) =>
    pinVerificationValue(bytes(i['pvk']), text(i['pvki']), text(i['pan']), text(i['pin'])),
  'psec.pin.generate_ibm3624_pin': (i) => ibm3624Pin(ibm3624(i), text(i['offset'])),
  'psec.pin.generate_ibm3624_offset': (i) => ibm3624Offset(ibm3624(i), text(i['pin'])),
}

/** The issuer's rows of the table of kinds. */
export const ISSUER_KINDS: readonly Kind[] = Object.entries(RESULTS).map(([kind, result]) => ({
  kind,
  handler: (vector) => expectResult(vector, 'result', () => result(vector.inputs)),
}))
