// Fuzz target: a CVM list, a terminal and a person of any kind; the kernel and the oracle of its tests must say the same.
import { toHex } from '../../hal/base/bytes.js'
import { cvmKernel } from '../runtime/secure/emv/cvm-kernel.js'
import { type CvmCase, cvmOracle } from '../runtime/secure/emv/cvm-oracle.js'
import { choicesOf } from './support/choices.js'

export const target = {
  name: 'CVM list',
  async run(bytes: Uint8Array): Promise<string> {
    const choices = choicesOf(bytes)
    const given: CvmCase = {
      amount: choices.pick([1500, 999, 1000, 1001, 1999, 2000, 2001, 0, 999_999_999_999]),
      currency: choices.pick(['same', 'other', 'absent'] as const),
      transaction: choices.pick(['sale', 'cashback', 'cash'] as const),
      terminal: choices.pick(['22', '21', '23', '14', '25', '36']),
      can: [...'POSEN'].filter(() => choices.below(4) < 3).join(''),
      counter: choices.pick([undefined, 0, 1, 3, 15, 255]),
      verify: Array.from({ length: choices.below(20) }, () =>
        choices.pick(['63C2', '63C1', '63CF', '9000', '63C0', '6983', '6984', '6A80', '6300', '6285']),
      ),
      person: Array.from({ length: choices.below(6) }, () =>
        choices.pick(['types', 'types', 'types', 'passes', 'cancels', 'leaves'] as const),
      ),
      noKey: choices.below(4) === 3,
      noChallenge: choices.below(4) === 3,
      rules: toHex(choices.bytes(choices.below(40))),
    }
    const [is, should] = [await cvmKernel(given), cvmOracle(given)]
    if (JSON.stringify(is) !== JSON.stringify(should)) throw new Error(JSON.stringify({ given, is, should }))
    return `${is.cvm} ${is.tvr}`
  },
}
