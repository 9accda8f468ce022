// Fuzz target of the wire: hostile bytes at a peer must never throw, never hang, never outgrow its bounds.
import { Duplex } from 'node:stream'
import { AppMethods } from '../../runtime/api/app-contract.js'
import { checker } from '../../runtime/api/contract.js'
import { connectRpc, MAX_LINE } from '../../runtime/api/json-rpc.js'

/** Pieces that random bytes alone would seldom find. */
const WORDS = [
  '{"jsonrpc":"2.0",',
  '"id":1,',
  '"id":null,',
  '"id":"a",',
  '"method":"event.scan",',
  '"method":"$/cancel",',
  '"method":"throw",',
  '"params":{"id":1}',
  '"params":null',
  '"params":{"text":"x"}',
  '"error":null',
  '"error":{"message":{"toString":1}}',
  '"result":{"__proto__":{}}',
  '}\n',
  '\n',
  '[[[[[[',
  '"\\ud800"',
  '1e999',
  '\u0000',
]

export const target = {
  name: 'json-rpc',
  async run(bytes: Uint8Array, seed: number): Promise<void> {
    const sent: string[] = []
    const stream = new Duplex({
      read() {},
      write(chunk, _encoding, done) {
        sent.push(String(chunk))
        done()
      },
    })
    const check = checker(AppMethods['event.scan'].params)
    const peer = connectRpc(stream, {
      'event.scan': (params) => check(params),
      throw: () => {
        throw undefined
      },
    })
    const calls = [peer.call('one'), peer.call('two', { n: seed })].map((call) => call.catch(() => undefined))
    // Half the seeds speak a broken dialect of the protocol, the others noise.
    const noise = Buffer.from(bytes)
    const text =
      seed % 2 === 0 ? noise : Buffer.from([...bytes].map((byte) => WORDS[byte % WORDS.length]).join(''))
    const cut = text.length === 0 ? 0 : seed % text.length
    stream.push(text.subarray(0, cut))
    stream.push(text.subarray(cut))
    await new Promise((resolve) => setImmediate(resolve))
    peer.close()
    await Promise.all(calls)
    for (const line of sent) {
      if (Buffer.byteLength(line) > MAX_LINE + 1) throw new Error('a line over the bound was sent')
      JSON.parse(line)
    }
  },
}
