// A small terminal for the tests: drives a card through a payment at APDU level and checks what the issuer signed.
import { concat, fromHex, toBcd, toHex } from '../../../../hal/base/bytes.js'
import { rsaPublic, sha1 } from '../../../../hal/base/ciphers.js'
import { encodeTlv, findDeepTlv, parseTlv, type Tlv } from '../../../../hal/base/tlv.js'
import type { VirtualCard } from '../../../../hal/simulated/virtual-card.js'
import { parseDol } from '../../../../scripts/dev/issuer/dol.js'
import type { CaPublicKey } from '../../../../scripts/dev/issuer/issuer-keys.js'

/** Data and status words; `T=0` procedure is followed here. */
export interface Answer {
  readonly data: Uint8Array
  readonly sw: string
}

export async function send(card: VirtualCard, hex: string): Promise<Answer> {
  let response = await card.transmit(fromHex(hex))
  if (response === undefined) return { data: new Uint8Array(0), sw: '' }
  let head = hex
  for (let i = 0; i < 4; i++) {
    const sw1 = response[response.length - 2]
    const sw2 = toHex(response.slice(-1))
    if (sw1 === 0x61) head = `00C00000${sw2}`
    else if (sw1 === 0x6c) head = head.slice(0, 8) + sw2
    else break
    response = (await card.transmit(fromHex(head))) ?? new Uint8Array(0)
  }
  return { data: response.slice(0, -2), sw: toHex(response.slice(-2)) }
}

const lc = (data: Uint8Array): string => toHex(Uint8Array.of(data.length)) + toHex(data)

/** What the terminal says, by tag; lengths as the DOLs ask. */
export type TerminalData = Record<number, Uint8Array>

export function terminalData(amount: bigint, overrides: TerminalData = {}): TerminalData {
  return {
    [0x9f02]: toBcd(amount.toString(), 6),
    [0x9f03]: new Uint8Array(6),
    [0x9f1a]: fromHex('0276'),
    [0x95]: new Uint8Array(5),
    [0x5f2a]: fromHex('0978'),
    [0x9a]: fromHex('261122'),
    [0x9c]: fromHex('00'),
    [0x9f37]: fromHex('A1B2C3D4'),
    [0x9f35]: fromHex('21'),
    [0x9f34]: fromHex('5E0300'),
    [0x9f33]: fromHex('E0F0C8'),
    ...overrides,
  }
}

function fill(dol: Uint8Array, data: TerminalData): Uint8Array {
  return concat(...parseDol(dol).map(({ tag, length }) => data[tag] ?? new Uint8Array(length)))
}

/** A card after READ APPLICATION DATA. */
export interface ReadCard {
  readonly card: VirtualCard
  readonly objects: ReadonlyMap<number, Uint8Array>
  readonly pdolData: Uint8Array
  /** Input of static data authentication. */
  readonly staticData: Uint8Array
}

export async function readCard(card: VirtualCard, aid: string, data: TerminalData): Promise<ReadCard> {
  const selected = await send(card, `00A40400${lc(fromHex(aid))}00`)
  if (selected.sw !== '9000') throw new Error(`SELECT ${selected.sw}`)
  const pdol = findDeepTlv(parseTlv(selected.data), 0x9f38)?.value ?? new Uint8Array(0)
  const pdolData = fill(pdol, data)
  const options = await send(card, `80A80000${lc(encodeTlv(0x83, pdolData))}00`)
  if (options.sw !== '9000') throw new Error(`GPO ${options.sw}`)
  const [answer] = parseTlv(options.data) as [Tlv]
  const aip = answer.tag === 0x80 ? answer.value.slice(0, 2) : findDeepTlv([answer], 0x82)!.value
  const afl = answer.tag === 0x80 ? answer.value.slice(2) : findDeepTlv([answer], 0x94)!.value
  const objects = new Map<number, Uint8Array>([[0x82, aip]])
  let staticData = new Uint8Array(0)
  for (let at = 0; at < afl.length; at += 4) {
    for (let record = afl[at + 1]!; record <= afl[at + 2]!; record++) {
      const read = await send(card, `00B2${toHex(Uint8Array.of(record, afl[at]! | 4))}00`)
      if (read.sw !== '9000') throw new Error(`READ RECORD ${read.sw}`)
      const [template] = parseTlv(read.data) as [Tlv]
      for (const child of template.children!) objects.set(child.tag, child.value)
      if (record - afl[at + 1]! < afl[at + 3]!)
        staticData = concat(staticData, template.value) as Uint8Array<ArrayBuffer>
    }
  }
  return { card, objects, pdolData, staticData: concat(staticData, aip) }
}

/** Recovers a certificate: its content without header, hash and trailer, after the hash was found right. */
export function recover(
  modulus: Uint8Array,
  exponent: Uint8Array,
  signed: Uint8Array,
  more: Uint8Array,
): Uint8Array {
  const clear = rsaPublic(modulus, exponent, signed)
  if (clear[0] !== 0x6a || clear[clear.length - 1] !== 0xbc) throw new Error('header or trailer')
  const content = clear.slice(1, -21)
  if (toHex(sha1(content, more)) !== toHex(clear.slice(-21, -1))) throw new Error('hash')
  return content
}

export interface PublicKey {
  readonly modulus: Uint8Array
  readonly exponent: Uint8Array
}

function keyOf(content: Uint8Array, head: number, remainder: Uint8Array, exponent: Uint8Array): PublicKey {
  return { modulus: concat(content.slice(head), remainder).slice(0, content[head - 2]), exponent }
}

const none = new Uint8Array(0)

export function issuerKey({ objects }: ReadCard, authorities: readonly CaPublicKey[]): PublicKey {
  const index = toHex(objects.get(0x8f)!)
  const ca = authorities.find((key) => key.index === index)!
  const remainder = objects.get(0x92) ?? none
  const exponent = objects.get(0x9f32)!
  const content = recover(
    fromHex(ca.modulus),
    fromHex(ca.exponent),
    objects.get(0x90)!,
    concat(remainder, exponent),
  )
  return keyOf(content, 14, remainder, exponent)
}

export function cardKey(read: ReadCard, issuer: PublicKey, use: 'general' | 'pin'): PublicKey {
  const { objects } = read
  const [certificate, exponentTag, remainderTag] =
    use === 'general' ? ([0x9f46, 0x9f47, 0x9f48] as const) : ([0x9f2d, 0x9f2e, 0x9f2f] as const)
  const remainder = objects.get(remainderTag) ?? none
  const exponent = objects.get(exponentTag)!
  const staticData = use === 'general' ? read.staticData : none
  const content = recover(
    issuer.modulus,
    issuer.exponent,
    objects.get(certificate)!,
    concat(remainder, exponent, staticData),
  )
  return keyOf(content, 20, remainder, exponent)
}

/** An answer to GENERATE AC, either format. */
export interface Cryptogram {
  readonly information: number
  readonly atc: Uint8Array
  readonly cryptogram: Uint8Array
  readonly iad: Uint8Array
  readonly signed: Uint8Array | undefined
  readonly dolData: Uint8Array
  readonly raw: Uint8Array
}

export async function generateAc(
  read: ReadCard,
  which: 'first' | 'second',
  p1: number,
  data: TerminalData,
): Promise<Cryptogram> {
  const dolData = fill(read.objects.get(which === 'first' ? 0x8c : 0x8d)!, data)
  const answer = await send(read.card, `80AE${toHex(Uint8Array.of(p1))}00${lc(dolData)}00`)
  if (answer.sw !== '9000') throw new Error(`GENERATE AC ${answer.sw}`)
  const [template] = parseTlv(answer.data) as [Tlv]
  if (template.tag === 0x80) {
    const { value } = template
    return {
      information: value[0]!,
      atc: value.slice(1, 3),
      cryptogram: value.slice(3, 11),
      iad: value.slice(11),
      signed: undefined,
      dolData,
      raw: answer.data,
    }
  }
  const get = (tag: number) => findDeepTlv([template], tag)?.value
  return {
    information: get(0x9f27)![0]!,
    atc: get(0x9f36)!,
    cryptogram: get(0x9f26) ?? none,
    iad: get(0x9f10)!,
    signed: get(0x9f4b),
    dolData,
    raw: answer.data,
  }
}

/** Field 55 as an acquirer would get it. */
export function de55(
  read: ReadCard,
  data: TerminalData,
  first: Cryptogram,
  cryptogram = first.cryptogram,
): Uint8Array {
  const objects: [number, Uint8Array][] = [
    [0x82, read.objects.get(0x82)!],
    [0x9f36, first.atc],
    [0x9f10, first.iad],
    [0x9f26, cryptogram],
    [0x9f27, Uint8Array.of(first.information)],
    ...[0x9f02, 0x9f03, 0x9f1a, 0x95, 0x5f2a, 0x9a, 0x9c, 0x9f37, 0x9f34].map(
      (tag) => [tag, data[tag]!] as [number, Uint8Array],
    ),
  ]
  return concat(...objects.map(([tag, value]) => encodeTlv(tag, value)))
}
