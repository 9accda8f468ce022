// Cardholder verification: the CVM list rule by rule, and CVM Results (EMV Book 3 v4.4, 10.5; Book 4, 6.3.4 and table 2).
import { erase, toHex } from '../../../hal/base/bytes.js'
import type { Random } from '../../../hal/base/clock.js'
import { TAG } from '../../../hal/base/tags.js'
import type { DukptCiphertext, PinEntry } from '../card-transaction.js'
import { type CardEnd, cardError, ends, isEnd } from './card-end.js'
import {
  CVM_CODE_MASK,
  CVM_CODES,
  CVM_CONDITIONS,
  CVM_NEXT_IF_FAILED,
  type CvmList,
  type CvmMethod,
  type CvmRow,
  type CvmRule,
  parseCvmList,
} from './cvm-list.js'
import { EccEncipherment } from './ecc-encipherment.js'
import { verifyOfflinePin } from './offline-pin.js'
import type { PinKey } from './pin-encipherment-key.js'
import { TRANSACTION_TYPE } from './processing-restrictions.js'
import { fromUint, panDigits, type TransactionData } from './transaction-data.js'
import type { CardChannel } from './transport.js'
import { AIP, CAPABILITY, hasBit } from './verification-results.js'

/** The people and keys that cardholder verification needs. */
export interface CvmServices {
  enterPin(prompt: {
    online: boolean
    triesLeft: number | undefined
    wrong: boolean
    bypassAllowed: boolean
  }): Promise<PinEntry>
  /** Digits in ASCII; both are left to this file to erase. */
  encryptPin(pin: Uint8Array, pan: Uint8Array, aid: string): Promise<DukptCiphertext>
  random: Random
  bypassAllowed: boolean
  /** The key for an enciphered offline PIN (Book 2, 7.1 and 13.1), or undefined where it cannot be had. */
  pinEnciphermentKey(): PinKey | undefined
}

/** How the cardholder was verified, for receipt and authorisation. */
export interface CvmOutcome {
  readonly kind: 'cvm'
  readonly cvm: 'pin' | 'signature' | 'none' | 'failed'
  readonly signatureRequired: boolean
  readonly pinBlock: DukptCiphertext | undefined
}

/** CVM Results, byte 3 (Book 4, annex A4). */
const RESULT = { unknown: 0x00, failed: 0x01, successful: 0x02 } as const
/** Second digit of 9F35: from 4 on the terminal is unattended (Book 4, annex A1). */
const UNATTENDED = 4
/** CVM Results, byte 1, where nothing was performed. */
const NO_CVM_PERFORMED = 0x3f

type Performed =
  | { readonly kind: 'successful'; readonly pinBlock?: DukptCiphertext }
  | { readonly kind: 'failed' | 'bypassed' }
  | CardEnd

/** Performs the card's CVM list; sets 9F34, TVR byte 3 and the TSI. */
export async function cardholderVerification(
  card: CardChannel,
  data: TransactionData,
  services: CvmServices,
): Promise<CvmOutcome | CardEnd> {
  const nothing: CvmOutcome = { kind: 'cvm', cvm: 'none', signatureRequired: false, pinBlock: undefined }
  setResults(data, NO_CVM_PERFORMED, 0x00, RESULT.unknown)
  if (!hasBit(data.get(TAG.AIP), AIP.cardholderVerification)) return nothing
  const tag8e = data.card(TAG.CVM_LIST)
  const list = tag8e && parseCvmList(tag8e)
  if (list === 'malformed') return cardError('CVM list with half a rule, or without its amounts')
  if (!list || list.rules.length === 0) {
    // 10.5 and 7.5: no list, or one without rules: the AIP promised one.
    data.raise('iccDataMissing')
    return nothing
  }
  data.performed('cvmPerformed')
  let key: PinKey | undefined
  // Rules share one key: ECC session keys are derived once a transaction (Book 2, 13.2 step 3).
  const pinEnciphermentKey = () => (key ??= services.pinEnciphermentKey())
  try {
    return await performRules(card, data, list, { ...services, pinEnciphermentKey })
  } finally {
    if (key instanceof EccEncipherment) key.erase()
  }
}

async function performRules(
  card: CardChannel,
  data: TransactionData,
  list: CvmList,
  services: CvmServices,
): Promise<CvmOutcome | CardEnd> {
  let bypassed = false
  let attempted: CvmRule | undefined
  for (const rule of list.rules) {
    const row = CVM_CODES[rule.code & CVM_CODE_MASK]
    if (!isConditionSatisfied(rule, row, list, data)) continue
    const goOn = (rule.code & CVM_NEXT_IF_FAILED) !== 0
    if (!row) {
      data.raise('cvmUnrecognised')
      if (goOn) continue
      break
    }
    if (row.method === 'fail') {
      // NOTE: Book 4, table 2 lists 00 and 40 alike: both end the list.
      attempted = rule
      break
    }
    if (!isSupported(row, data)) {
      // 10.5.1, 10.5.2: a PIN is asked for that this terminal cannot take.
      if (row.pin && !hasBit(data.get(TAG.TERMINAL_CAPABILITIES), row.pin)) data.raise('pinPadMissing')
      if (goOn) continue
      break
    }
    attempted = rule
    const performed: Performed =
      row.pin && bypassed ? { kind: 'bypassed' } : await perform(row.method, card, data, services)
    if (isEnd(performed)) return performed
    if (performed.kind === 'successful') {
      setResults(data, rule.code, rule.condition, successResult(row.method))
      return {
        kind: 'cvm',
        cvm: row.pin ? 'pin' : row.method === 'signature' ? 'signature' : 'none',
        signatureRequired: SIGNED.has(row.method),
        pinBlock: performed.pinBlock,
      }
    }
    // Book 4, 6.3.4.3: a PIN once passed over is not asked for again in this transaction.
    if (performed.kind === 'bypassed') bypassed = true
    if (!goOn) break
  }
  data.raise('cvmFailed')
  setResults(data, attempted?.code ?? NO_CVM_PERFORMED, attempted?.condition ?? 0x00, RESULT.failed)
  return { kind: 'cvm', cvm: 'failed', signatureRequired: false, pinBlock: undefined }
}

const SIGNED: ReadonlySet<CvmMethod> = new Set([
  'signature',
  'plaintextPinAndSignature',
  'encipheredPinAndSignature',
])

/** Book 4, table 2: unknown where a later act decides (signature, online PIN), successful otherwise. */
function successResult(method: CvmMethod): number {
  return SIGNED.has(method) || method === 'onlinePin' ? RESULT.unknown : RESULT.successful
}

function setResults(data: TransactionData, code: number, condition: number, result: number): void {
  data.set(TAG.CVM_RESULTS, Uint8Array.of(code, condition, result))
}

function isSupported(row: CvmRow, data: TransactionData): boolean {
  const capabilities = data.get(TAG.TERMINAL_CAPABILITIES)
  // C3 has one code for RSA and ECC; the card's certificates say which it is (Book 2, 13).
  return row.needs.every(
    (bit) =>
      hasBit(capabilities, bit) ||
      (bit === CAPABILITY.encipheredPin && hasBit(capabilities, CAPABILITY.encipheredPinEcc)),
  )
}

function isConditionSatisfied(
  rule: CvmRule,
  row: CvmRow | undefined,
  list: CvmList,
  data: TransactionData,
): boolean {
  const condition = CVM_CONDITIONS[rule.condition]
  if (!condition) return false
  const type = data.need(TAG.TRANSACTION_TYPE)[0]
  const terminalType = data.need(TAG.TERMINAL_TYPE)[0]!
  const currency = data.card(TAG.APPLICATION_CURRENCY)
  const transactionCurrency = data.need(TAG.TRANSACTION_CURRENCY)
  const unattended = (terminalType & 0x0f) >= UNATTENDED
  return condition({
    cash: type !== TRANSACTION_TYPE.cash ? 'none' : unattended ? 'unattended' : 'manual',
    cashback: type === TRANSACTION_TYPE.cashback,
    // A code that is not recognised is not supported either.
    supported: row !== undefined && isSupported(row, data),
    sameCurrency: currency?.length === 2 && fromUint(currency) === fromUint(transactionCurrency),
    amount: BigInt(Buffer.from(data.need(TAG.AMOUNT)).toString('hex')),
    amountX: BigInt(list.amountX),
    amountY: BigInt(list.amountY),
  })
}

async function perform(
  method: Exclude<CvmMethod, 'fail'>,
  card: CardChannel,
  data: TransactionData,
  services: CvmServices,
): Promise<Performed> {
  switch (method) {
    case 'noCvm':
    case 'signature':
      return { kind: 'successful' }
    case 'onlinePin':
      return onlinePin(data, services)
    case 'plaintextPin':
    case 'plaintextPinAndSignature':
      return offlinePin(card, data, services, undefined)
    case 'encipheredPin':
    case 'encipheredPinAndSignature': {
      const key = services.pinEnciphermentKey()
      if (!key) return { kind: 'failed' }
      return offlinePin(card, data, services, key)
    }
  }
}

async function offlinePin(
  card: CardChannel,
  data: TransactionData,
  services: CvmServices,
  key: PinKey | undefined,
): Promise<Performed> {
  const result = await verifyOfflinePin(
    card,
    data,
    (triesLeft, wrong) =>
      services.enterPin({ online: false, triesLeft, wrong, bypassAllowed: services.bypassAllowed }),
    key && { key, random: services.random },
  )
  return isEnd(result) ? result : { kind: result }
}

/** 10.5.2: entered and enciphered; whether it is right the issuer says. */
async function onlinePin(data: TransactionData, services: CvmServices): Promise<Performed> {
  const entry = await services.enterPin({
    online: true,
    triesLeft: undefined,
    wrong: false,
    bypassAllowed: services.bypassAllowed,
  })
  switch (entry.kind) {
    case 'cancelled':
    case 'timeout':
      return ends(entry.kind, 'PIN entry')
    case 'bypassed':
      data.raise('pinNotEntered')
      return { kind: 'bypassed' }
    case 'entered': {
      const pan = panDigits(data.need(TAG.PAN))
      try {
        if (!pan) return { kind: 'failed' }
        const pinBlock = await services.encryptPin(entry.digits, pan, toHex(data.need(TAG.AID)))
        data.raise('onlinePinEntered')
        return { kind: 'successful', pinBlock }
      } finally {
        erase(entry.digits, pan)
      }
    }
  }
}
