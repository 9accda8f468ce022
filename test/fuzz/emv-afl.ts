// Fuzz target: the AFL and the records that it names, from a card that answers what the rest of the bytes say.
import { concat, equalBytes } from '../../hal/base/bytes.js'
import { encodeTlv } from '../../hal/base/tlv.js'
import { parseAfl, readRecords } from '../../runtime/secure/emv/read-application-data.js'
import type { CardChannel } from '../../runtime/secure/emv/transport.js'
import { type Choices, choicesOf } from './support/choices.js'

/** Book 3, 10.2 as one condition an entry; 256 records are the terminal's own bound. */
function isGood(afl: Uint8Array): boolean {
  if (afl.length === 0 || afl.length % 4 !== 0) return false
  let records = 0
  for (let at = 0; at < afl.length; at += 4) {
    const [sfi, first, last, signed] = afl.subarray(at, at + 4) as unknown as [number, number, number, number]
    if (sfi % 8 !== 0 || sfi === 0 || sfi === 248 || first === 0 || first > last) return false
    if (signed > last - first + 1) return false
    records += last - first + 1
  }
  return records <= 256
}

/** Entries that hold together for the most part, and any bytes for the rest. */
function locator(choices: Choices): Uint8Array {
  const entries = Array.from({ length: choices.below(8) }, () => {
    if (choices.below(8) === 7) return choices.bytes(4)
    const first = 1 + choices.below(choices.pick([3, 255]))
    const last = first + choices.below(choices.pick([3, 3, 250]))
    return Uint8Array.of((1 + choices.below(30)) << 3, first, last, choices.below(last - first + 2))
  })
  return concat(...entries, choices.bytes(choices.pick([0, 0, 0, 0, 0, 0, 1, 4])))
}

export const target = {
  name: 'AFL and records',
  async run(bytes: Uint8Array): Promise<string> {
    const choices = choicesOf(bytes)
    const afl = locator(choices)
    const good = isGood(afl)
    if ((parseAfl(afl) !== undefined) !== good)
      throw new Error(`an AFL is taken for ${good ? 'bad' : 'good'}`)
    let reads = 0
    const signed: Uint8Array[] = []
    const card: CardChannel = {
      async exchange(command) {
        reads++
        if (command[1] !== 0xb2 || command.length !== 5) throw new Error('not READ RECORD')
        const sfi = command[3]! >> 3
        const content = encodeTlv(0x5a, choices.bytes(choices.below(8)))
        switch (choices.below(16)) {
          case 15:
            return { kind: 'end', reason: 'removed', rule: 'card left the slot' }
          case 14:
            return { kind: 'answer', data: new Uint8Array(), sw: 0x6a83 }
          case 13:
            return { kind: 'answer', data: choices.bytes(choices.below(64)), sw: 0x9000 }
          default: {
            const data = encodeTlv(0x70, content)
            signed.push(sfi <= 10 ? content : data)
            return { kind: 'answer', data, sw: 0x9000 }
          }
        }
      },
    }
    const read = await readRecords(card, afl)
    if (reads > 256) throw new Error(`${reads} records read`)
    if (!good && read.kind !== 'end') throw new Error('a bad AFL is followed')
    if (read.kind === 'end') return read.rule
    const entries = parseAfl(afl)!
    if (reads !== entries.reduce((sum, { first, last }) => sum + last - first + 1, 0))
      throw new Error('another number of records than the AFL names')
    if (read.odaRecords && signed.length === reads) {
      const authenticated = entries.flatMap((entry) =>
        Array.from({ length: entry.last - entry.first + 1 }, (_, i) => i < entry.authenticated),
      )
      if (!equalBytes(read.odaRecords, concat(...signed.filter((_, i) => authenticated[i]))))
        throw new Error('other signed data than the records hold')
    }
    return read.odaRecords ? 'read' : 'read, not to be authenticated'
  },
}
