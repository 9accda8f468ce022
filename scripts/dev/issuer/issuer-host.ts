// The issuer's authorisation: what a host asks of the card's bank (EMV Book 2, 8; Book 3, 10.9 and 10.10).
import { ascii, equalBytes, fromHex, toHex } from '../../../hal/base/bytes.js'
import { type Clock, systemClock } from '../../../hal/base/clock.js'
import { track2 } from './application-data.js'
import { type ApplicationProfile, type CardProfile, loadProfiles } from './card-profile.js'
import { makeIssuerAuthentication } from './cryptogram-data.js'
import { cardVerificationValue } from './cvv.js'
import { type CardAccount, type IssuerBooks, memoryBooks } from './issuer-books.js'
import { ensureIssuerKeys, type IssuerKeys } from './issuer-keys.js'
import { makeScripts } from './issuer-scripts.js'
import { ibm3624Offset } from './pin.js'
import { cryptogramKey, type ReceivedCryptogram, readCryptogram } from './received-cryptogram.js'
import { APPROVAL_CODES } from './scheme.js'

/** One authorisation request, as the acquirer read it out of its message. PIN and track are clear: this side is the HSM. */
export interface IssuerRequest {
  /** Digits. */
  readonly pan: string
  /** Two digits, `00` where the message carried none. */
  readonly panSequence: string
  /** Track 2 equivalent data as of tag 57; empty where absent. */
  readonly track2: Uint8Array
  /** ASCII digits, or undefined where the message carried no PIN block. */
  readonly pin: Uint8Array | undefined
  /** BER-TLV of field 55; of a stripe nothing. */
  readonly de55: Uint8Array
  /** The card's stripe was read; its CVV is another than the chip's. */
  readonly stripe?: boolean
  /** The number was typed: what came with it in the track's place. */
  readonly typed?: { readonly expiry: string; readonly cvv2?: string }
  /** The message's own amount; it must be the one that the card signed. */
  readonly amountMinor: bigint
  /** ISO 4217 numeric, three digits. */
  readonly currencyNumeric: string
}

/** The issuer's answer. */
export interface IssuerDecision {
  /** ISO 8583 field 39. */
  readonly responseCode: string
  /** Value of tag 91 without its tag, 8 or 10 bytes; absent where the cryptogram or the card is unknown. */
  readonly issuerAuthenticationData?: Uint8Array
  /** Whole templates 71 and 72. */
  readonly scripts: readonly Uint8Array[]
  /** Undefined of a stripe. */
  readonly cryptogramOk: boolean | undefined
  /** Undefined where no PIN came. */
  readonly pinOk: boolean | undefined
}

/** The card's bank. Synchronous; keeps the last ATC and the wrong PINs of each card. */
export interface IssuerHost {
  authorise(request: IssuerRequest): IssuerDecision
}

/** Field 39 as this issuer uses it (ISO 8583:1987, annex A). */
const ANSWER = {
  approved: '00',
  doNotHonour: '05',
  invalidAmount: '13',
  unknownCard: '14',
  formatError: '30',
  noFunds: '51',
  expired: '54',
  wrongPin: '55',
  pinTriesExceeded: '75',
} as const

const PIN_TRIES = 3
/** CVM code of an online PIN in 9F34, byte 1 without bit 7 (EMV Book 3, table 43). */
const ONLINE_PIN = 0x02

/** Keys from `keysDir`, cards from their profiles; `books` keeps counters over restarts, else they live in memory. */
export interface IssuerHostOptions {
  readonly keysDir: string
  readonly cards?: readonly CardProfile[]
  readonly books?: IssuerBooks
  readonly clock?: Clock
}

/** Makes the issuer of the deck's cards. @throws PosternError `CARD_PROFILE_INVALID` */
export function createIssuerHost(options: IssuerHostOptions): IssuerHost {
  const keys = ensureIssuerKeys(options.keysDir)
  const cards = options.cards ?? loadProfiles()
  const books = options.books ?? memoryBooks()
  const clock = options.clock ?? systemClock
  return {
    authorise(request) {
      const found = findCard(cards, request)
      if (found === undefined) return refusal(ANSWER.unknownCard)
      const { card, application } = found
      if (request.typed !== undefined)
        return authoriseTyped({ request, card, application, books, keys, clock }, request.typed)
      if (request.stripe) return authoriseStripe({ request, card, application, books, keys, clock })
      const cryptogram = readCryptogram(request.de55, application, keys)
      if (cryptogram === undefined) return refusal(ANSWER.formatError)
      if (!cryptogram.holds) return refusal(ANSWER.doNotHonour)
      const account = books.load(`${card.id}.${application.aid}`) ?? freshAccount(application, card, keys)
      // Asked again with the same cryptogram, the answer is the same; an older one was recorded and played back.
      if (account.lastAnswer !== undefined && account.lastArqc === toHex(cryptogram.arqc))
        return revive(account.lastAnswer)
      if (cryptogram.atc <= account.lastAtc) return refusal(ANSWER.doNotHonour, true)
      const pinOk = checkPin(request.pin, application, account, keys)
      const responseCode = decide({ request, card, application, cryptogram, account, pinOk, keys, clock })
      const decision = answer({ responseCode, card, application, cryptogram, keys, pinOk })
      books.save(`${card.id}.${application.aid}`, {
        ...account,
        lastAtc: cryptogram.atc,
        lastArqc: toHex(cryptogram.arqc),
        lastAnswer: keep(decision),
        wrongPins: pinOk === undefined ? account.wrongPins : pinOk ? 0 : account.wrongPins + 1,
        pinOffsets: withNewPin(account, card, application, decision, keys),
      })
      return decision
    },
  }
}

/** Third digit of a service code that asks for a PIN (ISO/IEC 7813). */
const PIN_REQUIRED = ['0', '3', '5']

/** A stripe proves nothing but its CVV: no cryptogram, nothing for a chip in the answer. */
function authoriseStripe(it: {
  readonly request: IssuerRequest
  readonly card: CardProfile
  readonly application: ApplicationProfile
  readonly books: IssuerBooks
  readonly keys: IssuerKeys
  readonly clock: Clock
}): IssuerDecision {
  const { request, card, application, books, keys } = it
  const key = `${card.id}.${application.aid}`
  const account = books.load(key) ?? freshAccount(application, card, keys)
  const pinOk = checkPin(request.pin, application, account, keys)
  const pinMissing = pinOk === undefined && PIN_REQUIRED.includes(application.serviceCode.at(-1)!)
  const genuine = equalBytes(request.track2, track2(application, card.pin, keys, 'stripe'))
  const responseCode = !genuine ? ANSWER.doNotHonour : decideOnAccount({ ...it, account, pinOk }, pinMissing)
  if (genuine && pinOk !== undefined)
    books.save(key, { ...account, wrongPins: pinOk ? 0 : account.wrongPins + 1 })
  return { responseCode, scripts: [], cryptogramOk: undefined, pinOk }
}

/** Nothing but what is printed on the card: expiry, and the security code (CVV2: service code 000) where one came. */
function authoriseTyped(
  it: {
    readonly request: IssuerRequest
    readonly card: CardProfile
    readonly application: ApplicationProfile
    readonly books: IssuerBooks
    readonly keys: IssuerKeys
    readonly clock: Clock
  },
  { expiry, cvv2 }: NonNullable<IssuerRequest['typed']>,
): IssuerDecision {
  const { card, application, books, keys } = it
  const account = books.load(`${card.id}.${application.aid}`) ?? freshAccount(application, card, keys)
  const printed = application.expiry.slice(0, 4)
  const right = expiry === printed && (cvv2 === undefined || cvv2 === securityCode(application, keys))
  const responseCode = right
    ? decideOnAccount({ ...it, account, pinOk: undefined }, false)
    : ANSWER.doNotHonour
  return { responseCode, scripts: [], cryptogramOk: undefined, pinOk: undefined }
}

/** The three digits on the back of a card. */
export const securityCode = ({ pan, expiry }: ApplicationProfile, keys: IssuerKeys): string =>
  cardVerificationValue(keys.master.cardVerification, pan, expiry.slice(0, 4), '000')

function refusal(responseCode: string, cryptogramOk = false): IssuerDecision {
  return { responseCode, scripts: [], cryptogramOk, pinOk: undefined }
}

function findCard(
  cards: readonly CardProfile[],
  { pan, panSequence, typed }: IssuerRequest,
): { card: CardProfile; application: ApplicationProfile } | undefined {
  for (const card of cards)
    for (const application of card.applications)
      if (application.pan === pan && (typed !== undefined || application.panSequence === panSequence))
        return { card, application }
  return undefined
}

/** Offset that makes a PIN right for this card: what the issuer keeps in the PIN's place. */
function pinOffset(pin: string, { pan }: ApplicationProfile, keys: IssuerKeys): string {
  const from = Math.max(0, pan.length - 16)
  return ibm3624Offset(
    {
      key: keys.master.pinVerification,
      table: '0123456789012345',
      pan,
      from,
      length: pan.length - from,
      pad: 'F',
    },
    pin,
  )
}

function freshAccount(application: ApplicationProfile, card: CardProfile, keys: IssuerKeys): CardAccount {
  return {
    lastAtc: application.atc ?? 0,
    lastArqc: undefined,
    lastAnswer: undefined,
    wrongPins: 0,
    pinOffsets: [pinOffset(card.pin, application, keys)],
  }
}

function checkPin(
  pin: Uint8Array | undefined,
  application: ApplicationProfile,
  account: CardAccount,
  keys: IssuerKeys,
): boolean | undefined {
  if (pin === undefined) return undefined
  const digits = ascii.decode(pin)
  return /^\d{4,12}$/.test(digits) && account.pinOffsets.includes(pinOffset(digits, application, keys))
}

interface Case {
  readonly request: IssuerRequest
  readonly card: CardProfile
  readonly application: ApplicationProfile
  readonly cryptogram: ReceivedCryptogram
  readonly account: CardAccount
  readonly pinOk: boolean | undefined
  readonly keys: IssuerKeys
  readonly clock: Clock
}

/** The response code, in the order in which an issuer looks. */
function decide(it: Case): string {
  const { request, card, application, cryptogram } = it
  if (
    cryptogram.amountMinor !== request.amountMinor ||
    cryptogram.currencyNumeric !== request.currencyNumeric
  )
    return ANSWER.invalidAmount
  if (request.track2.length > 0 && !equalBytes(request.track2, track2(application, card.pin, it.keys)))
    return ANSWER.doNotHonour
  return decideOnAccount(it, it.pinOk === undefined && ((cryptogram.cvm ?? 0) & 0x3f) === ONLINE_PIN)
}

/** What the card's account says once the card itself is believed. */
function decideOnAccount(
  it: Pick<Case, 'request' | 'card' | 'application' | 'account' | 'pinOk' | 'clock'>,
  pinMissing: boolean,
): string {
  const { request, card, application, account } = it
  const today = new Date(it.clock.nowMs()).toISOString()
  if (application.expiry.slice(0, 4) < today.slice(2, 4) + today.slice(5, 7)) return ANSWER.expired
  if (account.wrongPins >= PIN_TRIES && it.pinOk !== undefined) return ANSWER.pinTriesExceeded
  if (it.pinOk === false) return ANSWER.wrongPin
  if (pinMissing) return ANSWER.wrongPin
  if (card.issuer?.answer !== undefined) return card.issuer.answer
  if (request.amountMinor > BigInt(card.issuer?.limitMinor ?? Number.MAX_SAFE_INTEGER)) return ANSWER.noFunds
  return ANSWER.approved
}

function answer(it: {
  readonly responseCode: string
  readonly card: CardProfile
  readonly application: ApplicationProfile
  readonly cryptogram: ReceivedCryptogram
  readonly keys: IssuerKeys
  readonly pinOk: boolean | undefined
}): IssuerDecision {
  const { responseCode, card, application, cryptogram, keys } = it
  const { version, atc, arqc } = cryptogram
  const approved = APPROVAL_CODES.includes(responseCode)
  // Version 18's card status update: byte 2 bit 8 says that the issuer approves (EMV Book 3, annex C8).
  const trailer = version === 10 ? ascii.encode(responseCode) : Uint8Array.of(0, approved ? 0x80 : 0, 0, 0)
  const data = makeIssuerAuthentication(
    { version, cardKey: cryptogramKey(application, keys), atc, arqc },
    trailer,
  )
  if (card.issuer?.wrongArpc) data[0]! ^= 0x01
  return {
    responseCode,
    issuerAuthenticationData: data,
    scripts: makeScripts(card, application, { version, atc, arqc }, approved, keys),
    cryptogramOk: true,
    pinOk: it.pinOk,
  }
}

/** NOTE: Book 2, 9 leaves it open when the new PIN counts: here both do, as the script may not have reached the card. */
function withNewPin(
  account: CardAccount,
  card: CardProfile,
  application: ApplicationProfile,
  decision: IssuerDecision,
  keys: IssuerKeys,
): readonly string[] {
  if (decision.scripts.length === 0) return account.pinOffsets
  const changes = (card.issuer?.scripts ?? []).flatMap(({ commands }) =>
    commands.flatMap((command) => (command.kind === 'changePin' ? [command.pin] : [])),
  )
  return [...new Set([...account.pinOffsets, ...changes.map((pin) => pinOffset(pin, application, keys))])]
}

const keep = (decision: IssuerDecision): CardAccount['lastAnswer'] => ({
  responseCode: decision.responseCode,
  authentication:
    decision.issuerAuthenticationData === undefined ? undefined : toHex(decision.issuerAuthenticationData),
  scripts: decision.scripts.map(toHex),
  pinOk: decision.pinOk,
})

function revive(kept: NonNullable<CardAccount['lastAnswer']>): IssuerDecision {
  return {
    responseCode: kept.responseCode,
    ...(kept.authentication === undefined ? {} : { issuerAuthenticationData: fromHex(kept.authentication) }),
    scripts: kept.scripts.map(fromHex),
    cryptogramOk: true,
    pinOk: kept.pinOk,
  }
}
