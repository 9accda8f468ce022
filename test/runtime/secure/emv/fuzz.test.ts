// A small, seeded run of each EMV fuzz target; `npm run fuzz` runs as many as you have time for.
import t from 'tap'
import { target as certificates } from '../../../fuzz/emv-certificates.js'
import { target as kernel } from '../../../fuzz/emv-kernel.js'
import { target as lists } from '../../../fuzz/emv-lists.js'
import { target as tlv } from '../../../fuzz/emv-tlv.js'
import { target as stripe } from '../../../fuzz/stripe.js'

/** Bytes of a linear congruential generator: the same for a seed everywhere. */
function bytesOf(seed: number): Uint8Array {
  let state = seed
  const next = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return state >> 8
  }
  return Uint8Array.from({ length: next() % 120 }, () => next() & 0xff)
}

for (const [target, count] of [
  [tlv, 5000],
  [lists, 5000],
  [stripe, 5000],
  [certificates, 1000],
  [kernel, 1000],
] as const)
  t.test(`${target.name}: ${count} inputs, no defect`, async (t) => {
    for (let seed = 1; seed <= count; seed++) await target.run(bytesOf(seed), seed)
    t.pass()
  })
