// Cards out of recorded exchanges, and the kernel's inputs out of vectors, for the handlers of emv/.
import { fromHex, toHex } from '../../hal/base/bytes.js'
import { parseTlv, type Tlv } from '../../hal/base/tlv.js'
import type { ChipCardSession } from '../../hal/chip-card-reader.js'
import type { ApplicationConfiguration } from '../../runtime/secure/emv/configuration.js'
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
