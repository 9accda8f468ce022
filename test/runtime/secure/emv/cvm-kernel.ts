// The kernel's cardholder verification under a case of the oracle's: its card, its person, and its verdict in the oracle's words.
import { ascii, concat, toHex } from '../../../../hal/base/bytes.js'
import { TAG } from '../../../../hal/base/tags.js'
import type { CardEnd } from '../../../../runtime/secure/emv/card-end.js'
import {
  type CvmOutcome,
  cardholderVerification,
} from '../../../../runtime/secure/emv/cardholder-verification.js'
import { toUint } from '../../../../runtime/secure/emv/transaction-data.js'
import type { Answer, CardChannel } from '../../../../runtime/secure/emv/transport.js'
import { generateRsaKey } from '../../../../scripts/dev/issuer/rsa-key.js'
import type { CvmCase, CvmVerdict } from './cvm-oracle.js'
import { hex, storeWith, tvr } from './kernel-inputs.js'

const key = generateRsaKey(768, 3)
const CAPABILITY = { P: 0x80, O: 0x40, S: 0x20, E: 0x10, N: 0x08 } as const
const TYPE = { sale: '00', cashback: '09', cash: '01' } as const
const CURRENCY = {
  same: { [TAG.APPLICATION_CURRENCY]: '0978' },
  other: { [TAG.APPLICATION_CURRENCY]: '0840' },
  absent: {},
}

const answer = (sw: string, data: Uint8Array = new Uint8Array()): Answer => ({
  kind: 'answer',
  data,
  sw: Number.parseInt(sw, 16),
})

/** A card of which only the PIN is of interest. */
function pinCard(given: CvmCase): CardChannel {
  const sws = [...(given.verify ?? [])]
  let counter = given.counter
  return {
    async exchange(command) {
      switch (command[1]) {
        case 0xca:
          return counter === undefined
            ? answer('6A88')
            : answer('9000', Uint8Array.of(0x9f, 0x17, 1, counter))
        case 0x84:
          return given.noChallenge ? answer('6985') : answer('9000', hex('0102030405060708'))
        default: {
          const sw = sws.shift() ?? '9000'
          if (sw === '63C0' || sw === '6983' || sw === '6984') counter = 0
          return answer(sw)
        }
      }
    },
  }
}

/** The kernel's verdict in the oracle's words. */
export async function cvmKernel(given: CvmCase): Promise<CvmVerdict> {
  const can = [...(given.can ?? 'POSEN')].reduce((sum, letter) => sum + CAPABILITY[letter as 'P'], 0)
  const data = storeWith(
    { [TAG.AIP]: '1000', [TAG.PAN]: '5413330089604111', ...CURRENCY[given.currency ?? 'same'] },
    {
      [TAG.TRANSACTION_TYPE]: TYPE[given.transaction ?? 'sale'],
      [TAG.TERMINAL_TYPE]: given.terminal ?? '22',
      [TAG.AMOUNT]: (given.amount ?? 1500).toString().padStart(12, '0'),
    },
  )
  data.set(TAG.TERMINAL_CAPABILITIES, Uint8Array.of(0xe0, can, 0xc8))
  const amounts = [given.amountX ?? 1000, given.amountY ?? 2000].map((amount) => toUint(amount, 4))
  data.addFromCard(TAG.CVM_LIST, concat(...amounts, hex(given.rules)))
  const person = [...(given.person ?? [])]
  let prompts = 0
  const typed: Uint8Array[] = []
  const result: CvmOutcome | CardEnd = await cardholderVerification(pinCard(given), data, {
    async enterPin() {
      prompts++
      switch (person.shift() ?? 'types') {
        case 'types':
          typed.push(ascii.encode('1234'))
          return { kind: 'entered', digits: typed.at(-1)! }
        case 'passes':
          return { kind: 'bypassed' }
        case 'cancels':
          return { kind: 'cancelled' }
        default:
          return { kind: 'timeout' }
      }
    },
    encryptPin: async () => ({ ksn: new Uint8Array(12), bytes: new Uint8Array(16) }),
    random: (length) => new Uint8Array(length).fill(0x5a),
    bypassAllowed: true,
    pinEnciphermentKey: () => (given.noKey ? undefined : key),
  })
  if (typed.some((digits) => digits.some((digit) => digit !== 0))) throw new Error('a PIN was not erased')
  const [icc, , cvm] = data.need(TAG.TVR)
  // A list without rules is a missing one.
  if (icc !== (given.rules === '' ? 0x20 : 0)) throw new Error(`TVR ${tvr(data)}`)
  return {
    results: toHex(data.need(TAG.CVM_RESULTS)),
    tvr: toHex(Uint8Array.of(cvm!)),
    cvm: result.kind === 'end' ? (`end: ${result.reason}` as CvmVerdict['cvm']) : result.cvm,
    signs: result.kind === 'cvm' && result.signatureRequired,
    prompts,
  }
}
