// A small, seeded run of each EMV fuzz target, after the inputs that once found something; `npm run fuzz` runs as many as you like.
import t from 'tap'
import { type FuzzTarget, fuzz, keptSeeds } from '../../../../scripts/check/fuzz-engine.js'
import { target as afl } from '../../../fuzz/emv-afl.js'
import { target as card } from '../../../fuzz/emv-card.js'
import { target as certificates } from '../../../fuzz/emv-certificates.js'
import { target as configuration } from '../../../fuzz/emv-configuration.js'
import { target as cvmList } from '../../../fuzz/emv-cvm-list.js'
import { target as dol } from '../../../fuzz/emv-dol.js'
import { target as eccCertificates } from '../../../fuzz/emv-ecc-certificates.js'
import { target as kernel } from '../../../fuzz/emv-kernel.js'
import { target as names } from '../../../fuzz/emv-names.js'
import { target as scripts } from '../../../fuzz/emv-scripts.js'
import { target as tlv } from '../../../fuzz/emv-tlv.js'
import { target as track2 } from '../../../fuzz/emv-track2.js'
import { target as stripe } from '../../../fuzz/stripe.js'

const TARGETS: Readonly<Record<string, readonly [target: FuzzTarget, count: number]>> = {
  'emv-tlv': [tlv, 5000],
  'emv-dol': [dol, 3000],
  'emv-afl': [afl, 2000],
  'emv-names': [names, 2000],
  'emv-cvm-list': [cvmList, 2000],
  'emv-scripts': [scripts, 1000],
  'emv-configuration': [configuration, 2000],
  'emv-track2': [track2, 3000],
  'emv-certificates': [certificates, 1000],
  'emv-ecc-certificates': [eccCertificates, 1000],
  'emv-kernel': [kernel, 1000],
  'emv-card': [card, 150],
  stripe: [stripe, 5000],
}

for (const [name, [target, count]] of Object.entries(TARGETS))
  t.test(`${target.name}: ${count} inputs, no defect`, async (t) => {
    const seeds = keptSeeds(name)
    const { inputs, reached } = await fuzz(target, { count, seed: 1, seeds })
    t.equal(inputs, seeds.length + count)
    t.ok(reached > 1, 'more than one outcome')
  })
