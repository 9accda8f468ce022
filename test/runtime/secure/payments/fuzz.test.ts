// A small, seeded run of each fuzz target of the host's side; `npm run fuzz` runs as many as you like.
import t from 'tap'
import { type FuzzTarget, fuzz, keptSeeds } from '../../../../scripts/check/fuzz-engine.js'
import { target as gateway } from '../../../fuzz/gateway.js'
import { target as iso8583 } from '../../../fuzz/iso8583.js'
import { target as iso93 } from '../../../fuzz/iso8583-93.js'
import { target as ascii } from '../../../fuzz/iso8583-ascii.js'
import { target as dev } from '../../../fuzz/iso8583-dev.js'
import { target as ebcdic } from '../../../fuzz/iso8583-ebcdic.js'
import { target as payload } from '../../../fuzz/tls-payload.js'

const TARGETS: Readonly<Record<string, readonly [target: FuzzTarget, count: number]>> = {
  iso8583: [iso8583, 500],
  'iso8583-dev': [dev, 600],
  'iso8583-ascii': [ascii, 600],
  'iso8583-ebcdic': [ebcdic, 600],
  'iso8583-93': [iso93, 600],
  'tls-payload': [payload, 300],
  gateway: [gateway, 1000],
}

for (const [name, [target, count]] of Object.entries(TARGETS))
  t.test(`${target.name}: ${count} inputs, no defect`, async (t) => {
    const seeds = keptSeeds(name)
    const { inputs, reached } = await fuzz(target, { count, seed: 1, seeds })
    t.equal(inputs, seeds.length + count)
    // The oldest target says no words; the others' tell how it went.
    t.ok(name === 'iso8583' || reached > 1, 'more than one outcome')
  })
