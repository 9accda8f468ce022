// Every transaction type through the kernel: what the card is told, usage control, CVM conditions, refunds, referral, advice.
import t from 'tap'
import { ascii, toHex } from '../../../../hal/base/bytes.js'
import { money } from '../../../../hal/base/money.js'
import { TAG } from '../../../../hal/base/tags.js'
import type { HostAnswer } from '../../../../runtime/secure/card-transaction.js'
import type { EmvConfiguration } from '../../../../runtime/secure/emv/configuration.js'
import {
  completeTransaction,
  type TransactionServices,
  transactToFirstCryptogram,
} from '../../../../runtime/secure/emv/transaction.js'
import { TransactionData } from '../../../../runtime/secure/emv/transaction-data.js'
import { application, hex, tlv, tvr } from './kernel-inputs.js'
import { type ScriptStep, scriptedCard } from './scripted-card.js'

const AID = 'A0000000031010'
const TYPES = { purchase: 0x00, cash: 0x01, cashback: 0x09, refund: 0x20 } as const
type Type = keyof typeof TYPES
const SERVICE_NOT_ALLOWED = 0x10

interface Case {
  readonly type: Type
  /** 9F03 in minor units, of 12.50. */
  readonly other?: bigint
  /** 9F07; issuer country 5F28. */
  readonly auc?: string
  readonly issuer?: string
  /** CVM rules of 8E: code, condition. */
  readonly cvm?: string
  readonly configuration?: Parameters<typeof application>[1]
  readonly terminal?: Partial<EmvConfiguration['terminal']>
  readonly services?: Partial<TransactionServices>
  /** CID of the first answer. */
  readonly cid?: string
  readonly p1?: string
  /** Steps after the first cryptogram. */
  readonly later?: readonly ScriptStep[]
}

/** A card whose CDOL1 asks for what the types differ in: 9F02, 9F03, 9C, TVR, CVM results. */
async function play(given: Case) {
  const record = tlv(
    '70',
    tlv('5A', '4761739001010119'),
    tlv('5F24', '301231'),
    tlv('8C', '9F02069F03069C0195059F3403'),
    tlv('8D', '8A02'),
    tlv('9F0D', '0000000000'),
    tlv('9F0E', '0000000000'),
    tlv('9F0F', '0000000000'),
    ...(given.cvm === undefined ? [] : [tlv('8E', `0000000000000000${given.cvm}`)]),
    ...(given.auc === undefined ? [] : [tlv('9F07', given.auc), tlv('5F28', given.issuer ?? '0276')]),
  )
  const fci = `${tlv('6F', tlv('84', AID), tlv('A5', tlv('50', '56495341')))}9000`
  const seen: { cdol?: string; p1?: string } = {}
  const card = scriptedCard([
    ['SELECT PSE', '00 A4 04 00 0E 31 50 41 59 2E 53 59 53 2E 44 44 46 30 31 00', '6A82'],
    ['SELECT AID', '00 A4 04 00 07 A0 00 00 00 03 10 10 00', fci],
    ['final SELECT', '00 A4 04 00 07 A0 00 00 00 03 10 10 00', fci],
    [
      'GPO',
      '80 A8 00 00 02 83 00 00',
      `${tlv('80', given.cvm === undefined ? '0800' : '1800', '08010100')}9000`,
    ],
    ['READ RECORD', '00 B2 01 0C 00', `${record}9000`],
  ])
  const rest = scriptedCard([...(given.later ?? [])])
  const channel = {
    async exchange(command: Uint8Array) {
      if (command[1] !== 0xae) return card.channel.exchange(command)
      if (seen.cdol !== undefined) return rest.channel.exchange(command)
      seen.p1 = toHex(command.subarray(2, 3))
      seen.cdol = toHex(command.subarray(5, -1))
      return {
        kind: 'answer',
        data: hex(`80 0B ${given.cid ?? '80'} 0042 1122334455667788`),
        sw: 0x9000,
      } as const
    },
  }
  const data = new TransactionData()
  const configuration: EmvConfiguration = {
    terminal: {
      countryCode: hex('0276'),
      currency: 'EUR',
      type: 0x22,
      capabilities: hex('E0F8C8'),
      additionalCapabilities: hex('6000F0A001'),
      acquirerId: undefined,
      merchantCategoryCode: undefined,
      merchantId: undefined,
      terminalId: undefined,
      merchantName: undefined,
      ifdSerial: undefined,
      pinBypass: false,
      ...given.terminal,
    },
    applications: [
      application(AID, {
        tac: { denial: hex('0000000000'), online: hex('FFFFFFFFFF'), default: hex('0000000000') },
        ...given.configuration,
      }),
    ],
    caKeys: [],
    revoked: new Set(),
  }
  const request = {
    type: TYPES[given.type],
    amount: money(1250, 'EUR'),
    ...(given.other === undefined ? {} : { otherAmount: money(given.other, 'EUR') }),
    sequence: 1,
    at: new Date(2026, 10, 22),
  }
  const result = await transactToFirstCryptogram(channel, data, configuration, request, {
    random: (length) => hex('01020304').slice(0, length),
    chooseApplication: async () => 0,
    confirmApplication: async () => true,
    preferLanguages: () => undefined,
    enterPin: async () => ({ kind: 'entered', digits: ascii.encode('1234') }),
    encryptPin: async () => ({ ksn: new Uint8Array(12), bytes: new Uint8Array(16) }),
    cardHistory: async () => ({ lastAmountOfCard: 0n, onExceptionFile: false }),
    forceOnline: false,
    ...given.services,
  })
  if (result.kind !== 'first') throw new Error(result.rule)
  return {
    first: result,
    data,
    ...seen,
    complete: (answer: HostAnswer) => completeTransaction(channel, data, result, answer),
    done: () => rest.done(),
  }
}

t.test('9C and 9F03 tell the card what is asked', async (t) => {
  const of = async (given: Case) => (await play(given)).cdol!.slice(0, 26)
  t.equal(await of({ type: 'purchase' }), '00000000125000000000000000')
  t.equal(await of({ type: 'cash' }), '00000000125000000000000001')
  t.equal(await of({ type: 'cashback', other: 500n }), '00000000125000000000050009')
  t.equal(await of({ type: 'refund' }), '00000000125000000000000020')
})

t.test(
  'application usage control: each type by its bit, at home and abroad (Book 3, annex C2)',
  async (t) => {
    // Byte 1 bit 1: valid at terminals other than ATMs, in each row.
    const rows: readonly [type: Type, auc: string, issuer: string, allowed: boolean][] = [
      ['cash', '8100', '0276', true],
      ['cash', '4100', '0276', false],
      ['cash', '4100', '0840', true],
      ['cash', '8100', '0840', false],
      ['purchase', '2100', '0276', true],
      ['purchase', '0900', '0276', true],
      ['purchase', 'C100', '0276', false],
      ['purchase', '1100', '0840', true],
      ['purchase', '0500', '0840', true],
      ['purchase', '2900', '0840', false],
      ['cashback', '2180', '0276', true],
      ['cashback', '2100', '0276', false],
      ['cashback', '0180', '0276', false],
      ['cashback', '2140', '0276', false],
      ['cashback', '1140', '0840', true],
      ['cashback', '1180', '0840', false],
      ['refund', '0100', '0276', true],
      ['refund', 'FE00', '0276', false],
      ['purchase', 'FEC0', '0276', false],
    ]
    for (const [type, auc, issuer, allowed] of rows) {
      const { data } = await play({ type, auc, issuer })
      t.equal(
        (data.need(TAG.TVR)[1]! & SERVICE_NOT_ALLOWED) === 0,
        allowed,
        `${type}, ${auc}, issuer ${issuer}`,
      )
    }
  },
)

t.test('CVM conditions see cash and cashback (Book 3, annex C3)', async (t) => {
  const rule = async (type: Type, cvm: string) =>
    toHex((await play({ type, cvm })).data.need(TAG.CVM_RESULTS))
  // Online PIN for manual cash, signature for cashback, no CVM for all the rest.
  const rules = '4204' + '5E05' + '1F00'
  t.equal(await rule('cash', rules), '420400', 'manual cash: online PIN, result unknown until the host says')
  t.equal(await rule('cashback', rules), '5E0500', 'cashback: signature')
  t.equal(await rule('purchase', rules), '1F0002')
  t.equal(await rule('refund', rules), '1F0002')
  const neither = '5E02' + '1F00'
  t.equal(await rule('purchase', neither), '5E0200', 'not cash, not cashback')
  t.equal(await rule('cash', neither), '1F0002')
  t.equal(await rule('cashback', neither), '1F0002')
})

t.test(
  'a refund goes online as any payment, unless the application says that it ends with an AAC',
  async (t) => {
    const online = await play({
      type: 'refund',
      cvm: '1F00',
      later: [['second', '80 AE 40 00 02 3030 00', '80 0B 40 0042 8877665544332211 9000']],
    })
    t.equal(online.p1, '80')
    t.match(online.first, { decision: 'online', cryptogramType: 'ARQC' })
    t.match(await online.complete(ANSWERED), { approved: true, offline: false, cryptogramType: 'TC' })
    online.done()
    const ended = await play({
      type: 'refund',
      cvm: '4203',
      cid: '08',
      configuration: { refundEndsWithAac: true },
      services: {
        enterPin: async () => {
          throw new Error('nobody is asked for a PIN to be given money back')
        },
      },
    })
    t.equal(ended.p1, '00')
    t.match(ended.first, {
      decision: 'online',
      cryptogramType: 'AAC',
      cvm: { cvm: 'none' },
      adviceRequired: true,
    })
    t.equal(ended.cdol!.slice(-6), '3F0000')
    t.equal(tvr(ended.data), '8000000000')
    t.match(await ended.complete(ANSWERED), {
      approved: true,
      offline: false,
      cardSaidNo: false,
      cryptogramType: 'AAC',
    })
    t.match(await ended.complete({ ...ANSWERED, approved: false, responseCode: '05' }), {
      approved: false,
      offline: false,
    })
    t.match(await ended.complete({ kind: 'unableToGoOnline' }), { approved: false, offline: true })
    const sale = await play({ type: 'purchase', configuration: { refundEndsWithAac: true } })
    t.equal(sale.p1, '80', 'what is said of refunds holds for them alone')
  },
)

const ANSWERED = {
  kind: 'answered',
  responseCode: '00',
  approved: true,
  issuerAuthenticationData: undefined,
  scripts: [],
} as const

t.test('a referral keeps its code: a TC after yes, an AAC after no (Book 4, 6.3.6)', async (t) => {
  const yes = await play({
    type: 'purchase',
    later: [['second', '80 AE 40 00 02 3031 00', '80 0B 40 0042 8877665544332211 9000']],
  })
  t.match(await yes.complete({ ...ANSWERED, responseCode: '01' }), { approved: true })
  yes.done()
  const no = await play({
    type: 'purchase',
    later: [['second', '80 AE 00 00 02 3032 00', '80 0B 00 0042 8877665544332211 9000']],
  })
  t.match(await no.complete({ ...ANSWERED, responseCode: '02', approved: false }), {
    approved: false,
    cardSaidNo: false,
  })
  no.done()
})

t.test(
  'without the issuer: Y3 where codes and service allow, Z3 where an approval would not be honoured',
  async (t) => {
    const y3 = await play({
      type: 'purchase',
      later: [['second', '80 AE 40 00 02 5933 00', '80 0B 48 0042 8877665544332211 9000']],
    })
    t.match(await y3.complete({ kind: 'unableToGoOnline' }), {
      approved: true,
      offline: true,
      adviceRequired: true,
    })
    const z3 = await play({
      type: 'purchase',
      later: [['second', '80 AE 00 00 02 5A33 00', '80 0B 00 0042 8877665544332211 9000']],
    })
    t.match(await z3.complete({ kind: 'unableToGoOnline', decline: true }), {
      approved: false,
      offline: true,
    })
    z3.done()
  },
)

t.test('the advice bit of the first cryptogram (Book 3, 10.8)', async (t) => {
  t.match((await play({ type: 'purchase', cid: '08' })).first, { decision: 'declined', adviceRequired: true })
  t.match((await play({ type: 'purchase', cid: '00' })).first, {
    decision: 'declined',
    adviceRequired: false,
  })
})

t.test('split sales, exception file and a merchant who wants the issuer show in TVR byte 4', async (t) => {
  const byte4 = async (services: Partial<TransactionServices>) =>
    tvr((await play({ type: 'purchase', configuration: { floorLimit: 5000n }, services })).data).slice(6, 8)
  t.equal(
    await byte4({ cardHistory: async () => ({ lastAmountOfCard: 3749n, onExceptionFile: false }) }),
    '00',
  )
  t.equal(
    await byte4({ cardHistory: async () => ({ lastAmountOfCard: 3750n, onExceptionFile: false }) }),
    '80',
  )
  t.equal(await byte4({ forceOnline: true }), '08')
  const listed = await play({
    type: 'purchase',
    services: { cardHistory: async () => ({ lastAmountOfCard: 0n, onExceptionFile: true }) },
  })
  t.equal(tvr(listed.data).slice(0, 2), '90', 'byte 1: card appears on the terminal exception file')
})
