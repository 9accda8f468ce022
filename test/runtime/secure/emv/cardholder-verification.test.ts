// Cardholder verification: codes, conditions, outcomes, CVM Results and TVR byte 3, case by case.
import t from 'tap'
import { ascii, toHex } from '../../../../hal/base/bytes.js'
import { rsaPrivate } from '../../../../hal/base/ciphers.js'
import { TAG } from '../../../../hal/base/tags.js'
import type { PinEntry } from '../../../../runtime/secure/card-transaction.js'
import { cardholderVerification } from '../../../../runtime/secure/emv/cardholder-verification.js'
import { type ConditionInput, CVM_CONDITIONS, parseCvmList } from '../../../../runtime/secure/emv/cvm-list.js'
import { cardChannel } from '../../../../runtime/secure/emv/transport.js'
import { generateRsaKey } from '../../../../scripts/dev/issuer/rsa-key.js'
import { hex, storeWith, tsi, tvr } from './kernel-inputs.js'
import { type ScriptStep, scriptedCard } from './scripted-card.js'

const TRIES = (left: string): ScriptStep => ['GET DATA 9F17', '80 CA 9F 17 00', `9F1701${left}9000`]
const VERIFY = (response: string): ScriptStep => [
  'VERIFY',
  '00 20 00 80 08 24 12 34 FF FF FF FF FF',
  response,
]

interface Case {
  rules: string
  steps?: ScriptStep[]
  entries?: PinEntry['kind'][]
  card?: Record<number, string>
  terminal?: Record<number, string>
  without?: number
  key?: Parameters<typeof cardholderVerification>[2]['pinEnciphermentKey']
}

/** Runs a CVM list (amounts X 10.00, Y 20.00); PINs typed are 1234. */
async function run({ rules, steps = [], entries = [], card = {}, terminal = {}, without, key }: Case) {
  const objects: Record<number, string> = {
    [TAG.AIP]: '1000',
    [TAG.PAN]: '5413330089604111',
    [TAG.APPLICATION_CURRENCY]: '0978',
    [TAG.CVM_LIST]: `000003E8000007D0${rules}`,
    ...card,
  }
  if (without !== undefined) delete objects[without]
  const data = storeWith(objects, terminal)
  const digits: Uint8Array[] = []
  const prompts: object[] = []
  const scripted = scriptedCard(steps)
  const result = await cardholderVerification(scripted.channel, data, {
    async enterPin(prompt) {
      prompts.push(prompt)
      const kind = entries.shift() ?? 'cancelled'
      if (kind !== 'entered') return { kind }
      digits.push(ascii.encode('1234'))
      return { kind, digits: digits.at(-1)! }
    },
    encryptPin: async (pin, pan) => ({ ksn: pan.slice(), bytes: pin.slice() }),
    random: (length) => new Uint8Array(length).fill(0xa5),
    bypassAllowed: true,
    pinEnciphermentKey: key ?? (() => undefined),
  })
  scripted.done()
  t.ok(
    digits.every((pin) => pin.every((byte) => byte === 0)),
    'PINs are erased',
  )
  return {
    result,
    cvmResults: toHex(data.need(TAG.CVM_RESULTS)),
    tvr3: tvr(data).slice(4, 6),
    tvr: tvr(data),
    tsi: tsi(data),
    prompts,
  }
}

t.test('a card without cardholder verification: 3F0000, no bits', async (t) => {
  t.match(await run({ rules: '1E00', card: { [TAG.AIP]: '0000' } }), {
    cvmResults: '3F0000',
    tvr: '0000000000',
    tsi: '0000',
    result: { cvm: 'none' },
  })
})

t.test('a missing or empty list: ICC data missing, not performed', async (t) => {
  const empty = { [TAG.CVM_LIST]: '000003E8000007D0' }
  const missing = { cvmResults: '3F0000', tvr: '2000000000', tsi: '0000', result: { cvm: 'none' } }
  t.match(await run({ rules: '', card: empty }), missing)
  t.match(await run({ rules: '1F00', without: TAG.CVM_LIST }), missing)
})

t.test('a list with half a rule, or without its amounts, ends the transaction (Book 3, 7.5)', async (t) => {
  for (const list of ['', '000003E8000007', '000003E8000007D01E', '000003E8000007D01E001F']) {
    t.equal(parseCvmList(hex(list)), 'malformed')
    t.match(
      await run({ rules: '', card: { [TAG.CVM_LIST]: list } }),
      { result: { kind: 'end', reason: 'cardError' }, tsi: '0000' },
      list,
    )
  }
})

t.test('no condition satisfied: 3F0001 and failed', async (t) => {
  t.match(await run({ rules: '1E01' }), {
    cvmResults: '3F0001',
    tvr3: '80',
    tsi: '4000',
    result: { cvm: 'failed' },
  })
  t.match(
    await run({ rules: '1E0A1F77' }),
    { cvmResults: '3F0001' },
    'conditions that are not understood are passed over',
  )
})

t.test('signature, no CVM, fail', async (t) => {
  t.match(await run({ rules: '1E03' }), {
    cvmResults: '1E0300',
    tvr3: '00',
    result: { cvm: 'signature', signatureRequired: true },
  })
  t.match(await run({ rules: '1F02' }), { cvmResults: '1F0202', tvr3: '00', result: { cvm: 'none' } })
  t.match(await run({ rules: '00001F00' }), { cvmResults: '000001', tvr3: '80', result: { cvm: 'failed' } })
  t.match(await run({ rules: '40001F00' }), { cvmResults: '400001', tvr3: '80' })
})

t.test('an unrecognised code sets its bit, then bit 7 decides', async (t) => {
  t.match(await run({ rules: '60001F00' }), { cvmResults: '1F0002', tvr3: '40' })
  t.match(await run({ rules: '20001F00' }), { cvmResults: '3F0001', tvr3: 'C0' })
  t.match(await run({ rules: '06031F00' }), { cvmResults: '1F0002', tvr3: '00' }, 'if supported: passed over')
})

t.test('a PIN that the terminal cannot take', async (t) => {
  const terminal = { [TAG.TERMINAL_CAPABILITIES]: 'E028C8' }
  t.match(await run({ rules: '41001E00', terminal }), { cvmResults: '1E0000', tvr3: '10' })
  t.match(await run({ rules: '02001E00', terminal }), { cvmResults: '3F0001', tvr3: '90' })
  t.match(await run({ rules: '41031F00', terminal }), { cvmResults: '1F0002', tvr3: '00' })
  t.match(await run({ rules: '5E001F00', terminal: { [TAG.TERMINAL_CAPABILITIES]: 'E0D8C8' } }), {
    cvmResults: '1F0002',
    tvr3: '00',
  })
})

t.test('offline PIN: right, wrong then right, none left', async (t) => {
  t.match(await run({ rules: '0100', steps: [TRIES('03'), VERIFY('9000')], entries: ['entered'] }), {
    cvmResults: '010002',
    tvr3: '00',
    result: { cvm: 'pin', signatureRequired: false },
  })
  const again = await run({
    rules: '0100',
    steps: [TRIES('03'), VERIFY('63C2'), VERIFY('9000')],
    entries: ['entered', 'entered'],
  })
  t.match(again, {
    cvmResults: '010002',
    prompts: [
      { triesLeft: 3, wrong: false, online: false },
      { triesLeft: 2, wrong: true },
    ],
  })
  t.match(await run({ rules: '0100', steps: [TRIES('01'), VERIFY('63C0')], entries: ['entered'] }), {
    cvmResults: '010001',
    tvr3: 'A0',
  })
  for (const sw of ['6983', '6984'])
    t.match(await run({ rules: '41001E00', steps: [TRIES('03'), VERIFY(sw)], entries: ['entered'] }), {
      cvmResults: '1E0000',
      tvr3: '20',
    })
  t.match(await run({ rules: '0100', steps: [TRIES('03'), VERIFY('6A88')], entries: ['entered'] }), {
    result: { kind: 'end', reason: 'cardError' },
  })
})

t.test('the try counter is read before anybody is asked', async (t) => {
  t.match(await run({ rules: '41001E00', steps: [TRIES('00')] }), {
    cvmResults: '1E0000',
    tvr3: '20',
    prompts: [],
  })
  t.match(
    await run({
      rules: '0100',
      steps: [['GET DATA 9F17', '80 CA 9F 17 00', '6A88'], VERIFY('9000')],
      entries: ['entered'],
    }),
    { prompts: [{ triesLeft: undefined }] },
  )
  for (const answer of ['9F17020003 9000', '9F3601 03 9000', '03 9000', '9F17 9000'])
    t.match(
      await run({
        rules: '0100',
        steps: [['GET DATA 9F17', '80 CA 9F 17 00', answer], VERIFY('9000')],
        entries: ['entered'],
      }),
      { prompts: [{ triesLeft: undefined }], cvmResults: '010002' },
      `${answer} is no counter`,
    )
})

t.test('a card that never counts down is left', async (t) => {
  const steps = [TRIES('0F'), ...Array.from({ length: 15 }, () => VERIFY('63CF'))]
  t.match(
    await run({ rules: '0100', steps, entries: Array.from({ length: 15 }, () => 'entered' as const) }),
    { cvmResults: '010001' },
  )
})

t.test('bypass: its bit, and no PIN is asked for again', async (t) => {
  const bypassed = await run({ rules: '410042001E00', steps: [TRIES('03')], entries: ['bypassed'] })
  t.match(bypassed, { cvmResults: '1E0000', tvr3: '08' })
  t.equal(bypassed.prompts.length, 1)
  t.match(await run({ rules: '0200', entries: ['bypassed'] }), { cvmResults: '020001', tvr3: '88' })
})

t.test('online PIN: result unknown, block under the PAN', async (t) => {
  const online = await run({ rules: '0203', entries: ['entered'] })
  t.match(online, { cvmResults: '020300', tvr3: '04', result: { cvm: 'pin' } })
  t.same((online.result as { pinBlock: { ksn: Uint8Array } }).pinBlock.ksn, ascii.encode('5413330089604111'))
  t.match(await run({ rules: '0200', entries: ['entered'], card: { [TAG.PAN]: '54133300896041AA' } }), {
    cvmResults: '020001',
  })
})

t.test('PIN and signature', async (t) => {
  t.match(await run({ rules: '0300', steps: [TRIES('03'), VERIFY('9000')], entries: ['entered'] }), {
    cvmResults: '030000',
    result: { cvm: 'pin', signatureRequired: true },
  })
  t.match(await run({ rules: '4300', steps: [TRIES('00')] }), { cvmResults: '430001', tvr3: 'A0' })
})

t.test('enciphered PIN: the challenge goes in, and only a real key will do', async (t) => {
  const key = generateRsaKey(768, 3)
  let sealed: Uint8Array | undefined
  const data = storeWith({
    [TAG.AIP]: '1000',
    [TAG.PAN]: '5413330089604111',
    [TAG.CVM_LIST]: '00000000000000000400',
  })
  const channel = cardChannel({
    protocol: 'T=1',
    transmit: async (command) => {
      if (command[1] === 0x84) return { kind: 'response', bytes: hex('11223344556677889000') }
      if (command[1] !== 0x20) return { kind: 'response', bytes: hex('6A88') }
      sealed = command.slice(5)
      t.equal(toHex(command.subarray(0, 5)), '0020008860')
      return { kind: 'response', bytes: hex('9000') }
    },
  })
  const services = {
    enterPin: async () => ({ kind: 'entered' as const, digits: ascii.encode('1234') }),
    encryptPin: async () => ({ ksn: hex(''), bytes: hex('') }),
    random: (length: number) => new Uint8Array(length).fill(0xa5),
    bypassAllowed: false,
    pinEnciphermentKey: () => key,
  }
  t.match(await cardholderVerification(channel, data, services), { cvm: 'pin' })
  t.match(toHex(rsaPrivate(key.privateKey, sealed!)), /^7F241234FFFFFFFFFF1122334455667788A5A5/)
  t.match(await run({ rules: '44001E00', entries: ['entered'] }), { cvmResults: '1E0000' }, 'no key')
  for (const answer of ['6985', '11229000'])
    t.match(
      await run({
        rules: '0400',
        steps: [TRIES('03'), ['GET CHALLENGE', '00 84 00 00 00', answer]],
        entries: ['entered'],
        key: () => key,
      }),
      { cvmResults: '040001' },
    )
  t.match(
    await run({
      rules: '0400',
      steps: [TRIES('03'), ['GET CHALLENGE', '00 84 00 00 00', '11223344556677889000']],
      entries: ['entered'],
      key: () => ({ modulus: hex('FFFF'), exponent: hex('03') }),
    }),
    { cvmResults: '040001' },
    'a key too short for the block',
  )
  t.match(
    await run({
      rules: '0400',
      steps: [TRIES('03'), ['GET CHALLENGE', '00 84 00 00 00', '11223344556677889000']],
      entries: ['entered'],
      key: () => ({ modulus: hex(`${'00'.repeat(47)}0F`), exponent: hex('03') }),
    }),
    { cvmResults: '040001' },
    'a key that is smaller than the block',
  )
  t.match(
    await run({
      rules: '0400',
      steps: [TRIES('03'), ['GET CHALLENGE', '00 84 00 00 00', { kind: 'removed' }]],
      entries: ['entered'],
      key: () => key,
    }),
    { result: { kind: 'end', reason: 'removed' } },
  )
})

t.test('cancel, time-out and a card that leaves end the transaction', async (t) => {
  t.match(await run({ rules: '0200', entries: ['cancelled'] }), {
    result: { kind: 'end', reason: 'cancelled' },
  })
  t.match(await run({ rules: '0100', steps: [TRIES('03')], entries: ['timeout'] }), {
    result: { kind: 'end', reason: 'timeout' },
  })
  t.match(
    await run({
      rules: '0100',
      steps: [TRIES('03'), ['VERIFY', '00 20 00 80 08 24 12 34 FF FF FF FF FF', { kind: 'removed' }]],
      entries: ['entered'],
    }),
    { result: { reason: 'removed' } },
  )
  t.match(await run({ rules: '0100', steps: [['GET DATA 9F17', '80 CA 9F 17 00', { kind: 'removed' }]] }), {
    result: { reason: 'removed' },
  })
})

t.test('conditions, one by one', async (t) => {
  const base: ConditionInput = {
    cash: 'none',
    cashback: false,
    supported: true,
    sameCurrency: true,
    amount: 1250n,
    amountX: 1000n,
    amountY: 2000n,
  }
  const holds = (code: number, changes: Partial<ConditionInput> = {}) =>
    CVM_CONDITIONS[code]?.({ ...base, ...changes })
  t.ok(holds(0))
  t.ok(holds(1, { cash: 'unattended' }))
  t.notOk(holds(1, { cash: 'manual' }))
  t.ok(holds(2))
  t.notOk(holds(2, { cashback: true }))
  t.notOk(holds(2, { cash: 'manual' }))
  t.notOk(holds(3, { supported: false }))
  t.ok(holds(4, { cash: 'manual' }))
  t.ok(holds(5, { cashback: true }))
  t.notOk(holds(6))
  t.ok(holds(7))
  t.notOk(holds(7, { amount: 1000n }), 'over X is more than X')
  t.ok(holds(8))
  t.notOk(holds(8, { amount: 2000n }), 'under Y is less than Y')
  t.notOk(holds(9))
  for (const code of [6, 7, 8, 9])
    t.notOk(holds(code, { sameCurrency: false, amount: code % 2 ? 9999n : 1n }))
})

t.test('conditions as the transaction gives them', async (t) => {
  t.match(
    await run({ rules: '1E07', card: { [TAG.APPLICATION_CURRENCY]: '0840' } }),
    { cvmResults: '3F0001' },
    'another currency',
  )
  t.match(await run({ rules: '1E07' }), { cvmResults: '1E0700' })
  t.match(await run({ rules: '1E05', terminal: { [TAG.TRANSACTION_TYPE]: '09' } }), { cvmResults: '1E0500' })
  t.match(await run({ rules: '1E04', terminal: { [TAG.TRANSACTION_TYPE]: '01' } }), { cvmResults: '1E0400' })
  t.match(
    await run({ rules: '1E01', terminal: { [TAG.TRANSACTION_TYPE]: '01', [TAG.TERMINAL_TYPE]: '14' } }),
    { cvmResults: '1E0100' },
  )
})
