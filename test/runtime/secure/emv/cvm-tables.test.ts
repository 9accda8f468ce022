// Cardholder verification against tables: named cases with their literal 9F34, and every code × condition × outcome against the oracle.
import t from 'tap'
import { cvmKernel } from './cvm-kernel.js'
import { type CvmCase, cvmOracle } from './cvm-oracle.js'

/** Book 4, table 2 row by row, and what else the books say in words: `[case, 9F34, TVR byte 3, how]`. */
const NAMED: readonly (readonly [why: string, given: CvmCase, results: string, tvr: string, cvm: string])[] =
  [
    ['no condition satisfied', { rules: '1E01' }, '3F0001', '80', 'failed'],
    ['no code supported', { rules: '41001E00', can: 'N' }, '3F0001', '90', 'failed'],
    ['no code recognised', { rules: '46002000' }, '3F0001', 'C0', 'failed'],
    ['fail CVM', { rules: '0000' }, '000001', '80', 'failed'],
    ['fail CVM with bit 7', { rules: '40001F00' }, '400001', '80', 'failed'],
    ['fail CVM under a condition', { rules: '00051F00' }, '1F0002', '00', 'none'],
    ['signature', { rules: '1E00' }, '1E0000', '00', 'signature'],
    ['signature with bit 7', { rules: '5E031F03' }, '5E0300', '00', 'signature'],
    ['online PIN', { rules: '0200' }, '020000', '04', 'pin'],
    ['plaintext PIN', { rules: '0100' }, '010002', '00', 'pin'],
    ['enciphered PIN', { rules: '0403' }, '040302', '00', 'pin'],
    ['plaintext PIN and signature', { rules: '0300' }, '030000', '00', 'pin'],
    ['enciphered PIN and signature', { rules: '0500' }, '050000', '00', 'pin'],
    ['no CVM', { rules: '1F03' }, '1F0302', '00', 'none'],
    ['no CVM is not supported', { rules: '1F00', can: 'POSE' }, '3F0001', '80', 'failed'],
    ['last CVM failed', { rules: '0100', verify: ['63C0'] }, '010001', 'A0', 'failed'],
    [
      'the last one performed counts, not the last rule',
      { rules: '41001E01', verify: ['6983'] },
      '410001',
      'A0',
      'failed',
    ],
    ['PIN and signature, PIN wrong', { rules: '0300', verify: ['63C1', '63C0'] }, '030001', 'A0', 'failed'],
    ['PIN and signature where nobody can sign', { rules: '43001F00', can: 'PON' }, '1F0002', '00', 'none'],
    ['PIN and signature without a pad', { rules: '43001F00', can: 'SN' }, '1F0002', '10', 'none'],
    ['blocked before', { rules: '41001E00', counter: 0 }, '1E0000', '20', 'signature'],
    ['blocked says 6983', { rules: '41001E00', counter: 3, verify: ['6983'] }, '1E0000', '20', 'signature'],
    ['blocked says 6984', { rules: '41001E00', verify: ['6984'] }, '1E0000', '20', 'signature'],
    [
      'another refusal ends (figure 11)',
      { rules: '41001E00', verify: ['6A81'] },
      '3F0000',
      '00',
      'end: cardError',
    ],
    ['6300 tells no counter', { rules: '41001E00', verify: ['6300'] }, '3F0000', '00', 'end: cardError'],
    [
      'counted down to success',
      { rules: '0100', counter: 3, verify: ['63C2', '63C1'] },
      '010002',
      '00',
      'pin',
    ],
    [
      'passed over, then no PIN at all',
      { rules: '410042001E00', person: ['passes'] },
      '1E0000',
      '08',
      'signature',
    ],
    ['passed over, last rule', { rules: '0200', person: ['passes'] }, '020001', '88', 'failed'],
    [
      'passed over after a wrong one',
      { rules: '41001E00', verify: ['63C2'], person: ['types', 'passes'] },
      '1E0000',
      '08',
      'signature',
    ],
    ['cancelled', { rules: '0200', person: ['cancels'] }, '3F0000', '00', 'end: cancelled'],
    ['left alone', { rules: '0100', person: ['leaves'] }, '3F0000', '00', 'end: timeout'],
    ['unrecognised, else signature', { rules: '60001E00' }, '1E0000', '40', 'signature'],
    ['unrecognised, no else', { rules: '20001E00' }, '3F0001', 'C0', 'failed'],
    ['RFU condition', { rules: '1E0A1F00' }, '1F0002', '00', 'none'],
    ['payment system condition', { rules: '1E801F00' }, '1F0002', '00', 'none'],
    ['code RFU bit 8 does not matter', { rules: '9E00' }, '9E0000', '00', 'signature'],
    ['at X: neither under nor over', { rules: '1E061E071F00', amount: 1000 }, '1F0002', '00', 'none'],
    ['under Y', { rules: '1E081F00', amount: 1999 }, '1E0800', '00', 'signature'],
    ['over Y', { rules: '1E091F00', amount: 2001 }, '1E0900', '00', 'signature'],
    ['X in another currency', { rules: '1E061F00', amount: 1, currency: 'other' }, '1F0002', '00', 'none'],
    ['X without 9F42', { rules: '1E071F00', currency: 'absent' }, '1F0002', '00', 'none'],
    [
      'amounts of 32 bits',
      { rules: '1E061F00', amountX: 0xffff_ffff, amount: 4_294_967_294 },
      '1E0600',
      '00',
      'signature',
    ],
    [
      'an amount above 32 bits',
      { rules: '1E071F00', amountX: 0xffff_ffff, amount: 999_999_999_999 },
      '1E0700',
      '00',
      'signature',
    ],
    ['unattended cash', { rules: '0201', transaction: 'cash', terminal: '14' }, '020100', '04', 'pin'],
    ['manual cash', { rules: '02011E04', transaction: 'cash', terminal: '21' }, '1E0400', '00', 'signature'],
    ['cashback', { rules: '1E020205', transaction: 'cashback' }, '020500', '04', 'pin'],
    ['no challenge', { rules: '44001F00', noChallenge: true }, '1F0002', '00', 'none'],
    ['no key', { rules: '44001F00', noKey: true }, '1F0002', '00', 'none'],
    ['half a rule', { rules: '1E001F' }, '3F0000', '00', 'end: cardError'],
  ]

t.test('named cases: 9F34 and TVR byte 3 as Book 4, table 2 has them', async (t) => {
  for (const [why, given, results, bits, cvm] of NAMED) {
    const verdict = await cvmKernel(given)
    t.match(verdict, { results, tvr: bits, cvm }, why)
    t.match(cvmOracle(given), { results, tvr: bits, cvm }, `the oracle too: ${why}`)
  }
})

/** Compares every case; resolves with the first few that differ, told in full. */
async function compare(cases: Iterable<CvmCase>): Promise<{ count: number; differences: string[] }> {
  const differences: string[] = []
  let count = 0
  for (const given of cases) {
    count++
    const [is, should] = [await cvmKernel(given), cvmOracle(given)]
    if (JSON.stringify(is) !== JSON.stringify(should) && differences.length < 5)
      differences.push(JSON.stringify({ given, is, should }))
  }
  return { count, differences }
}

const byte = (value: number) => value.toString(16).padStart(2, '0').toUpperCase()
const CONDITIONS = ['00', '01', '02', '03', '04', '05', '06', '07', '08', '09', '0A', '7F', '80', 'FF']

t.test('every code, both ways of bit 7, every condition, place and capability', async (t) => {
  function* cases(): Generator<CvmCase> {
    for (let code = 0; code < 128; code++)
      for (const condition of CONDITIONS)
        for (const place of [
          {},
          { transaction: 'cashback' },
          { transaction: 'cash' },
          { transaction: 'cash', terminal: '25' },
        ] as const)
          for (const can of ['POSEN', '', 'P', 'O', 'S', 'E', 'N'])
            yield { rules: byte(code) + condition + (code % 3 === 0 ? '1F00' : ''), can, ...place }
  }
  const { count, differences } = await compare(cases())
  t.same(differences, [])
  t.equal(count, 128 * 14 * 4 * 7)
})

t.test('amounts and currencies at, under and over X and Y', async (t) => {
  function* cases(): Generator<CvmCase> {
    for (const amount of [0, 999, 1000, 1001, 1500, 1999, 2000, 2001, 999_999_999_999])
      for (const currency of ['same', 'other', 'absent'] as const)
        for (const condition of CONDITIONS)
          for (const amounts of [{}, { amountX: 0, amountY: 0 }, { amountX: 2000, amountY: 1000 }])
            yield { rules: `1E${condition}1F00`, amount, currency, ...amounts }
  }
  const { count, differences } = await compare(cases())
  t.same(differences, [])
  t.equal(count, 9 * 3 * 14 * 3)
})

t.test('every PIN method with every way that it goes', async (t) => {
  const ends = [
    '9000',
    '63C0',
    '63C1',
    '63CF',
    '6983',
    '6984',
    '6300',
    '6985',
    '6A88',
    '6D00',
    '6700',
    '6283',
  ]
  const people = [[], ['passes'], ['cancels'], ['leaves'], ['types', 'passes'], ['types', 'cancels']] as const
  function* cases(): Generator<CvmCase> {
    for (const code of ['01', '41', '02', '42', '03', '43', '04', '44', '05', '45'])
      for (const then of ['', '1E00', '0100', '42001F00', '450041001E03'])
        for (const first of ends)
          for (const person of people)
            for (const counter of [undefined, 0, 1, 3])
              yield { rules: `${code}00${then}`, verify: [first, '63C1', '9000', '63C2'], person, counter }
    for (const flaw of [{ noKey: true }, { noChallenge: true }])
      for (const rules of ['0400', '44001E00', '450044001F00', '440041001F00']) yield { rules, ...flaw }
    for (const length of [14, 15, 16, 40])
      yield { rules: '41001F00', verify: Array<string>(length).fill('63CF'), counter: 15 }
  }
  const { count, differences } = await compare(cases())
  t.same(differences, [])
  t.equal(count, 10 * 5 * 12 * 6 * 4 + 8 + 4)
})

t.test('lists of up to twelve rules', async (t) => {
  function* cases(): Generator<CvmCase> {
    let state = 20_261_122
    const below = (limit: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
      return (state >> 8) % limit
    }
    const codes = [0, 1, 2, 3, 4, 5, 6, 0x1e, 0x1f, 0x20]
    const pick = <T>(from: readonly T[]): T => from[below(from.length)]!
    for (let i = 0; i < 8000; i++) {
      const rules = Array.from(
        { length: 1 + below(12) },
        () => byte((below(12) === 0 ? 0 : pick(codes)) | (below(4) > 0 ? 0x40 : 0)) + pick(CONDITIONS),
      )
      yield {
        rules: rules.join('') + (below(50) === 0 ? 'AA' : ''),
        amount: pick([1, 1000, 1500, 2500]),
        currency: pick(['same', 'same', 'other', 'absent'] as const),
        transaction: pick(['sale', 'sale', 'cashback', 'cash'] as const),
        terminal: pick(['21', '22', '23', '14', '25', '36']),
        can: [...'POSEN'].filter(() => below(4) > 0).join(''),
        counter: pick([undefined, 0, 3]),
        verify: Array.from({ length: below(4) }, () => pick(['63C2', '63C1', '9000', '6983', '6A80'])),
        person: Array.from({ length: below(4) }, () =>
          pick(['types', 'types', 'types', 'passes', 'cancels'] as const),
        ),
        noKey: below(6) === 0,
        noChallenge: below(6) === 0,
      }
    }
  }
  const { count, differences } = await compare(cases())
  t.same(differences, [])
  t.equal(count, 8000)
})
