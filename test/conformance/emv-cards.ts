// Cards out of recorded exchanges, and the kernel's inputs out of vectors, for the handlers of emv/.
import { ascii, fromHex, toHex } from '../../hal/base/bytes.js'
import { sha1 } from '../../hal/base/ciphers.js'
import { parseTlv, type Tlv } from '../../hal/base/tlv.js'
import type { ChipCardSession } from '../../hal/chip-card-reader.js'
import { type CaKey, caKeyChecksum } from '../../runtime/secure/emv/ca-keys.js'
import type {
  ApplicationConfiguration,
  TerminalConfiguration,
} from '../../runtime/secure/emv/configuration.js'
import { parseDol } from '../../runtime/secure/emv/dol.js'
import type { TransactionServices } from '../../runtime/secure/emv/transaction.js'
import { TransactionData } from '../../runtime/secure/emv/transaction-data.js'
import { type CardChannel, cardChannel } from '../../runtime/secure/emv/transport.js'
import type { Vector } from './vectors.js'

export interface Exchange {
  readonly c: string | null
  readonly r: string
}

/** A card that answers in the recorded order; `unexpected` and `left` tell where the kernel went another way. */
export interface RecordedCard {
  readonly channel: CardChannel
  readonly unexpected: string[]
  left(): number
}

/** Plays exchanges one by one. A command that isn't the next one is answered with 6F00 and noted. */
export function recordedCard(exchanges: readonly Exchange[], level?: 'tpdu'): RecordedCard {
  let at = 0
  const unexpected: string[] = []
  const session = sessionOf('T=0', (command) => {
    const next = exchanges[at]
    const got = toHex(command)
    if (!next || (next.c !== null && next.c !== got)) {
      unexpected.push(`${got} instead of ${next?.c ?? 'the end'}`)
      return '6F00'
    }
    at++
    return next.r
  })
  return {
    channel: cardChannel(level ? { ...session, level } : session),
    unexpected,
    left: () => exchanges.length - at,
  }
}

/** A session over a function from command to hex answer. */
export function sessionOf(protocol: 'T=0' | 'T=1', answer: (command: Uint8Array) => string): ChipCardSession {
  return {
    atr: fromHex('3B600000'),
    protocol,
    transmit: async (command) => ({ kind: 'response', bytes: fromHex(answer(command)) }),
    release: async () => undefined,
  }
}

/** `[{t, v}]` as pairs. */
export function pairs(list: Vector): [tag: number, value: Uint8Array][] {
  return (list?.data ?? list ?? []).map((row: Vector) => [Number.parseInt(row.t, 16), fromHex(row.v)])
}

/** The store that a step starts from. */
export function dataOf(given: Vector): TransactionData {
  const data = new TransactionData()
  for (const [tag, value] of pairs(given.config)) data.set(tag, value)
  for (const [tag, value] of pairs(given.params)) data.set(tag, value)
  for (const [tag, value] of pairs(given.terminal)) data.set(tag, value)
  for (const [tag, value] of pairs(given.icc)) data.addFromCard(tag, value)
  return data
}

/** Values of one tag list as `[{t, v}]` again. */
export function listOf(items: readonly Tlv[]): { t: string; v: string }[] {
  return items.map(({ tag, value }) => ({ t: tagHex(tag), v: toHex(value) }))
}

/** A tag as the recorder writes it: without a leading zero. */
export function tagHex(tag: number): string {
  return tag.toString(16).toUpperCase()
}

/** A terminal's row for an AID of a vector. */
export function applicationRow(app: Vector): ApplicationConfiguration {
  const none = new Uint8Array(5)
  return {
    aid: fromHex(app.aid),
    partialSelection: app.asi === 1,
    version: fromHex('0001'),
    tac: { denial: none, online: none, default: none },
    floorLimit: 0n,
    randomSelection: undefined,
    ddol: undefined,
    tdol: undefined,
    riskManagementData: undefined,
  }
}

/** Every data object of an answer, parents before children; empty where it is no TLV. */
export function flatten(hex: string): Tlv[] {
  const out: Tlv[] = []
  const walk = (items: readonly Tlv[]) => {
    for (const item of items) {
      out.push(item)
      if (item.children) walk(item.children)
    }
  }
  try {
    walk(parseTlv(fromHex(hex)))
  } catch {
    return []
  }
  return out
}

/** What a recorded terminal filled a data object list with, in the list's order. */
export function dolFields(dol: Uint8Array, data: Uint8Array): [tag: number, value: Uint8Array][] {
  let at = 0
  return parseDol(dol).map(({ tag, length }) => {
    at += length
    return [tag, data.slice(at - length, at)]
  })
}

/** The data field of a command that has one. */
export function dataField(command: string): Uint8Array {
  const bytes = fromHex(command)
  return bytes.slice(5, 5 + (bytes[4] ?? 0))
}

/** A terminal as good as any: what a recording doesn't tell of its own. Zero action codes leave the say to the card. */
export function plainTerminal(parts: Partial<TerminalConfiguration> = {}): TerminalConfiguration {
  return {
    countryCode: fromHex('0246'),
    currency: 'EUR',
    type: 0x21,
    capabilities: fromHex('E0B8C8'),
    additionalCapabilities: fromHex('FFC000F0FF'),
    acquirerId: undefined,
    merchantCategoryCode: undefined,
    merchantId: undefined,
    terminalId: undefined,
    merchantName: undefined,
    ifdSerial: undefined,
    pinBypass: false,
    ...parts,
  }
}

/** A CA key of a vector; its checksum is the product's own sum. */
export function caKeyOf(capk: Vector): CaKey {
  const key = {
    rid: fromHex(capk.rid),
    index: Number.parseInt(capk.index, 16),
    modulus: fromHex(capk.modulus),
    exponent: fromHex(capk.exponent),
    expires: undefined,
  }
  if (capk.sha1 && toHex(sha1(...caKeyChecksum(key))) !== capk.sha1)
    throw new Error(`checksum of ${capk.index}`)
  return key
}

/** Services of a transaction with nobody to disappoint: the first application, the PIN as given, no history. */
export function plainServices(
  parts: Partial<TransactionServices> & { readonly pin?: string },
): TransactionServices {
  const { pin, ...rest } = parts
  return {
    random: (length) => new Uint8Array(length).fill(0x01),
    chooseApplication: async () => 0,
    confirmApplication: async () => true,
    preferLanguages: () => undefined,
    enterPin: async () =>
      pin === undefined ? { kind: 'cancelled' } : { kind: 'entered', digits: ascii.encode(pin) },
    encryptPin: async () => ({ ksn: new Uint8Array(12), bytes: new Uint8Array(16) }),
    cardHistory: async () => ({ lastAmountOfCard: 0n, onExceptionFile: false }),
    forceOnline: false,
    ...rest,
  }
}
