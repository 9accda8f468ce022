// Fuzz target: issuer scripts of any bytes to a card that answers anything: results of five bytes each, bounded commands.
import { toHex } from '../../hal/base/bytes.js'
import { TAG } from '../../hal/base/tags.js'
import { encodeTlv } from '../../hal/base/tlv.js'
import { runIssuerScripts } from '../../runtime/secure/emv/issuer-scripts.js'
import { TransactionData } from '../../runtime/secure/emv/transaction-data.js'
import { choicesOf } from './support/choices.js'

export const target = {
  name: 'issuer scripts',
  async run(bytes: Uint8Array): Promise<string> {
    const choices = choicesOf(bytes)
    const phase = choices.pick([TAG.SCRIPT_71, TAG.SCRIPT_72])
    const templates = Array.from({ length: choices.below(24) }, () => {
      const tag = choices.pick([0x71, 0x72, 0x71, 0x72, 0x70])
      if (choices.below(3) === 0) return choices.bytes(choices.below(40))
      const commands = Array.from({ length: choices.below(40) }, () =>
        encodeTlv(choices.pick([0x86, 0x86, 0x86, 0x9f18]), choices.bytes(choices.below(12))),
      )
      return encodeTlv(tag, Uint8Array.from(commands.flatMap((command) => [...command])))
    })
    const data = new TransactionData()
    let sent = 0
    let leaves = false
    const run = await runIssuerScripts(
      {
        async exchange(command) {
          sent++
          if (command.length < 4 || command.length > 261) throw new Error('not a command')
          leaves = choices.below(32) === 31
          if (leaves) return { kind: 'end', reason: 'removed', rule: 'card left the slot' }
          const sw = choices.pick([0x9000, 0x9000, 0x9000, 0x9000, 0x62f1, 0x63c2, 0x6985, 0x6f00])
          return { kind: 'answer', data: new Uint8Array(), sw }
        },
      },
      data,
      templates,
      phase,
    )
    const mine = templates.filter((template) => template[0] === phase)
    if (sent > 16 * 32) throw new Error(`${sent} commands`)
    if (run.results.length % 5 !== 0) throw new Error('results are not five bytes each')
    const scripts = run.results.length / 5
    if (leaves !== (run.end !== undefined)) throw new Error('the end is not told')
    if (run.end ? scripts > mine.length : scripts !== mine.length) throw new Error(`${scripts} results`)
    const firsts = Array.from({ length: scripts }, (_, i) => run.results[i * 5]!)
    const failed = firsts.some((result) => result >> 4 !== 2)
    for (const result of firsts)
      if (![0x00, 0x20].includes(result) && (result >> 4 !== 1 || (result & 0x0f) === 0))
        throw new Error(`result ${result}`)
    const bits = toHex(data.need(TAG.TVR))
    if (bits !== (failed ? (phase === TAG.SCRIPT_71 ? '0000000020' : '0000000010') : '0000000000'))
      throw new Error(`TVR ${bits}`)
    return `${failed} ${run.end?.reason} ${Math.min(scripts, 3)}`
  },
}
