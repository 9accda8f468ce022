// Action analysis bit by bit, issuer scripts and issuer authentication case by case; expected values are literal (EMV Book 3 v4.4,
// 10.7, 10.9, 10.10 and annex C5; Book 4, annexes A1 and A5).
import t from 'tap'
import { toHex } from '../../../../hal/base/bytes.js'
import { TAG } from '../../../../hal/base/tags.js'
import { encodeTlv } from '../../../../hal/base/tlv.js'
import { issuerAuthentication } from '../../../../runtime/secure/emv/issuer-authentication.js'
import { runIssuerScripts } from '../../../../runtime/secure/emv/issuer-scripts.js'
import {
  actionWithoutIssuer,
  terminalActionAnalysis,
} from '../../../../runtime/secure/emv/terminal-action-analysis.js'
import type { CardChannel } from '../../../../runtime/secure/emv/transport.js'
import { TSI, TVR } from '../../../../runtime/secure/emv/verification-results.js'
import { hex, storeWith, tlv, tsi, tvr } from './kernel-inputs.js'

/** Annex C5 and C6 as the book prints them: `byte.bit`, from 1 and from 8. */
const TVR_BITS: Readonly<Record<string, string>> = {
  odaNotPerformed: '1.8',
  sdaFailed: '1.7',
  iccDataMissing: '1.6',
  onExceptionFile: '1.5',
  ddaFailed: '1.4',
  cdaFailed: '1.3',
  sdaSelected: '1.2',
  xdaSelected: '1.1',
  versionsDiffer: '2.8',
  expired: '2.7',
  notYetEffective: '2.6',
  serviceNotAllowed: '2.5',
  newCard: '2.4',
  cvmFailed: '3.8',
  cvmUnrecognised: '3.7',
  pinTryLimitExceeded: '3.6',
  pinPadMissing: '3.5',
  pinNotEntered: '3.4',
  onlinePinEntered: '3.3',
  floorLimitExceeded: '4.8',
  lowerLimitExceeded: '4.7',
  upperLimitExceeded: '4.6',
  randomlySelected: '4.5',
  merchantForcedOnline: '4.4',
  xdaFailed: '4.1',
  defaultTdolUsed: '5.8',
  issuerAuthenticationFailed: '5.7',
  scriptFailedBefore: '5.6',
  scriptFailedAfter: '5.5',
  caEccKeyMissing: '5.3',
  eccKeyRecoveryFailed: '5.2',
}
const TSI_BITS: Readonly<Record<string, string>> = {
  odaPerformed: '1.8',
  cvmPerformed: '1.7',
  cardRiskManagementPerformed: '1.6',
  issuerAuthenticationPerformed: '1.5',
  terminalRiskManagementPerformed: '1.4',
  scriptProcessingPerformed: '1.3',
}

t.test('TVR and TSI bits stand where annexes C5 and C6 have them', async (t) => {
  const place = ({ byte, mask }: { byte: number; mask: number }) => `${byte}.${Math.log2(mask) + 1}`
  for (const [name, bit] of Object.entries(TVR)) t.equal(place(bit), TVR_BITS[name], name)
  for (const [name, bit] of Object.entries(TSI)) t.equal(place(bit), TSI_BITS[name], name)
  t.equal(Object.keys(TSI).length, 6)
})

/** What a set bit in a code leads to: rows are codes, columns what the terminal can do (10.7). */
const WANTED = {
  none: { onlineOnly: 'ARQC', both: 'TC', offlineOnly: 'TC' },
  denial: { onlineOnly: 'AAC', both: 'AAC', offlineOnly: 'AAC' },
  online: { onlineOnly: 'ARQC', both: 'ARQC', offlineOnly: 'TC' },
  default: { onlineOnly: 'ARQC', both: 'TC', offlineOnly: 'AAC' },
} as const
/** 9F35 (Book 4, annex A1): financial institution, merchant, cardholder; attended and not. */
const TERMINALS = {
  onlineOnly: ['11', '14', '21', '24', '34'],
  both: ['12', '15', '22', '25', '35'],
  offlineOnly: ['13', '16', '23', '26', '36'],
} as const
const IAC = { denial: TAG.IAC_DENIAL, online: TAG.IAC_ONLINE, default: TAG.IAC_DEFAULT } as const
const ZERO = '0000000000'
const none = { denial: hex(ZERO), online: hex(ZERO), default: hex(ZERO) }
const issuerNone = { [TAG.IAC_DENIAL]: ZERO, [TAG.IAC_ONLINE]: ZERO, [TAG.IAC_DEFAULT]: ZERO }
const BITS = Array.from({ length: 40 }, (_, i) => (1n << BigInt(i)).toString(16).padStart(10, '0'))
const without = (bit: string) => (0xff_ffff_ffffn ^ BigInt(`0x${bit}`)).toString(16).padStart(10, '0')

t.test('every bit of the TVR × each code of issuer and terminal × each kind of terminal', async (t) => {
  const wrong: string[] = []
  let count = 0
  const expect = (is: string, should: string, ...why: string[]) => {
    count++
    if (is !== should) wrong.push(`${why.join(' ')}: ${is} instead of ${should}`)
  }
  for (const bit of BITS)
    for (const [can, types] of Object.entries(TERMINALS))
      for (const type of types)
        for (const [code, row] of Object.entries(WANTED)) {
          const should = row[can as 'both']
          const terminal = { [TAG.TERMINAL_TYPE]: type, [TAG.TVR]: bit }
          for (const [who, value] of [
            ['alone', bit],
            ['with others', 'FFFFFFFFFF'],
            ['all others', without(bit)],
          ] as const) {
            const hit = who === 'all others' ? WANTED.none[can as 'both'] : should
            const set = code === 'none' ? {} : { [code]: hex(value) }
            const own = storeWith(issuerNone, terminal)
            expect(terminalActionAnalysis(own, { ...none, ...set }), hit, 'TAC', code, who, bit, type)
            const last = code === 'default' && who !== 'all others' ? 'AAC' : 'TC'
            expect(actionWithoutIssuer(own, { ...none, ...set }), last, 'TAC without issuer', code, who, bit)
            const issuers = storeWith(
              code === 'none' ? issuerNone : { ...issuerNone, [IAC[code as 'online']]: value },
              terminal,
            )
            expect(terminalActionAnalysis(issuers, none), hit, 'IAC', code, who, bit, type)
            expect(actionWithoutIssuer(issuers, none), last, 'IAC without issuer', code, who, bit)
          }
        }
  t.same(wrong, [])
  t.equal(count, 40 * 15 * 4 * 3 * 4)
})

t.test('an issuer code that is missing, or not five bytes long: 10.7', async (t) => {
  const ROWS = {
    denial: { onlineOnly: 'ARQC', both: 'TC', offlineOnly: 'TC', last: 'TC' },
    online: { onlineOnly: 'ARQC', both: 'ARQC', offlineOnly: 'TC', last: 'TC' },
    default: { onlineOnly: 'ARQC', both: 'TC', offlineOnly: 'AAC', last: 'AAC' },
  } as const
  for (const [code, row] of Object.entries(ROWS))
    for (const value of [undefined, '', '00000000', '000000000000'])
      for (const bit of BITS)
        for (const can of ['onlineOnly', 'both', 'offlineOnly'] as const) {
          const card: Record<number, string> = { ...issuerNone, [IAC[code as 'online']]: value ?? '' }
          if (value === undefined) delete card[IAC[code as 'online']]
          const data = storeWith(card, { [TAG.TERMINAL_TYPE]: TERMINALS[can][0], [TAG.TVR]: bit })
          if (terminalActionAnalysis(data, none) !== row[can]) t.fail(`${code} ${value} ${bit} ${can}`)
          if (actionWithoutIssuer(data, none) !== row.last) t.fail(`${code} ${value} ${bit} without issuer`)
        }
  const clean = storeWith({}, { [TAG.TVR]: ZERO })
  t.equal(terminalActionAnalysis(clean, none), 'TC', 'no bit, nothing to ask about')
  t.equal(actionWithoutIssuer(clean, none), 'TC')
})

const A = '841E000004AABBCCDD'
const B = '8424000004AABBCCDD'
const ID = '9F180411223344'
const cmd = (apdu: string) => tlv('86', apdu)
const long = (bytes: number) => toHex(encodeTlv(0x86, new Uint8Array(bytes).fill(0x84)))
const template = (tag: string, ...content: string[]) =>
  toHex(encodeTlv(Number.parseInt(tag, 16), hex(content.join(''))))
const times = (count: number, sw = '9000') => Array<string>(count).fill(sw)

/** `[why, templates, phase, status words, results, TVR byte 5, TSI byte 1]`. A script bit of the TSI is 04. */
const SCRIPTS: readonly (readonly [string, string[], '71' | '72', string[], string, string, string])[] = [
  ['one command', [template('71', ID, cmd(A))], '71', ['9000'], '2011223344', '00', '04'],
  ['two commands', [template('71', ID, cmd(A), cmd(B))], '71', ['9000', '9000'], '2011223344', '00', '04'],
  ['warnings go on', [template('72', ID, cmd(A), cmd(B))], '72', ['6200', '63C1'], '2011223344', '00', '04'],
  ['first refused', [template('71', ID, cmd(A), cmd(B))], '71', ['6985'], '1111223344', '20', '04'],
  ['second refused', [template('71', ID, cmd(A), cmd(B))], '71', ['9000', '6A80'], '1211223344', '20', '04'],
  ['refused after', [template('72', ID, cmd(A))], '72', ['6F00'], '1111223344', '10', '04'],
  ['91xx is no 90', [template('72', ID, cmd(A), cmd(B))], '72', ['9100'], '1111223344', '10', '04'],
  ['64xx stops', [template('71', ID, cmd(A), cmd(B))], '71', ['6400'], '1111223344', '20', '04'],
  ['no identifier', [template('71', cmd(A))], '71', ['9000'], '2000000000', '00', '04'],
  ['identifier of three', [template('71', '9F1803112233', cmd(A))], '71', ['9000'], '2000000000', '00', '04'],
  ['identifier after it', [template('71', cmd(A), ID)], '71', ['9000'], '2011223344', '00', '04'],
  [
    'identifier twice',
    [template('71', ID, '9F180499999999', cmd(A))],
    '71',
    ['9000'],
    '2011223344',
    '00',
    '04',
  ],
  [
    'other objects',
    [template('71', ID, 'DF0101AA', cmd(A), '0000')],
    '71',
    ['9000'],
    '2011223344',
    '00',
    '04',
  ],
  ['no command', [template('71', ID)], '71', [], '2011223344', '00', '04'],
  ['an empty template', ['7100'], '71', [], '2000000000', '00', '04'],
  ['the other phase', [template('72', ID, cmd(A))], '71', [], '', '00', '00'],
  ['no script', [], '71', [], '', '00', '00'],
  ['an empty one', [''], '71', [], '', '00', '00'],
  [
    'both phases in one answer',
    [template('72', ID, cmd(A)), template('71', cmd(B)), template('72', cmd(B))],
    '72',
    ['9000', '6985'],
    '20112233441100000000',
    '10',
    '04',
  ],
  [
    'a refused script does not keep the next',
    [template('71', ID, cmd(A), cmd(B)), template('71', cmd(B))],
    '71',
    ['6985', '9000'],
    '11112233442000000000',
    '20',
    '04',
  ],
  ['cut short', ['7120861084'], '71', [], '0000000000', '20', '04'],
  ['indefinite length', ['7180860484000000'], '71', [], '0000000000', '20', '04'],
  ['two templates in one', [`${template('71', cmd(A))}7100`], '71', [], '0000000000', '20', '04'],
  ['three bytes are no command', [template('71', ID, cmd('841E00'))], '71', [], '0011223344', '20', '04'],
  ['nothing is sent of a bad script', [template('71', cmd(A), cmd(''))], '71', [], '0000000000', '20', '04'],
  ['the longest command', [template('71', long(261))], '71', ['9000'], '2000000000', '00', '04'],
  ['a longer one', [template('71', long(262))], '71', [], '0000000000', '20', '04'],
  ['32 commands', [template('71', cmd(A).repeat(32))], '71', times(32), '2000000000', '00', '04'],
  ['33 commands', [template('71', cmd(A).repeat(33))], '71', [], '0000000000', '20', '04'],
  [
    'the 14th fails',
    [template('71', cmd(A).repeat(20))],
    '71',
    [...times(13), '6A88'],
    '1E00000000',
    '20',
    '04',
  ],
  [
    'the 15th fails',
    [template('71', cmd(A).repeat(20))],
    '71',
    [...times(14), '6A88'],
    '1F00000000',
    '20',
    '04',
  ],
  [
    'the 20th fails',
    [template('71', cmd(A).repeat(20))],
    '71',
    [...times(19), '6A88'],
    '1F00000000',
    '20',
    '04',
  ],
  [
    'sixteen templates are run, the 17th is not performed',
    Array<string>(17).fill(template('72', ID, cmd(A))),
    '72',
    times(16),
    `${'2011223344'.repeat(16)}0011223344`,
    '10',
    '04',
  ],
]

const PHASE = { 71: TAG.SCRIPT_71, 72: TAG.SCRIPT_72 } as const

/** A card that answers one status word after the other, and keeps what it was sent. */
function answering(sws: readonly string[]): CardChannel & { sent: string[] } {
  const sent: string[] = []
  return {
    sent,
    async exchange(command) {
      sent.push(toHex(command))
      const sw = sws[sent.length - 1]
      return sw === undefined
        ? { kind: 'end', reason: 'removed', rule: 'card left the slot' }
        : { kind: 'answer', data: new Uint8Array(), sw: Number.parseInt(sw, 16) }
    },
  }
}

t.test('scripts: results, TVR and TSI', async (t) => {
  for (const [why, templates, phase, sws, results, bits, status] of SCRIPTS) {
    const data = storeWith()
    const card = answering(sws)
    const run = await runIssuerScripts(card, data, templates.map(hex), PHASE[phase])
    t.equal(run.end, undefined, why)
    t.equal(toHex(run.results), results, why)
    t.equal(card.sent.length, sws.length, `${why}: so many commands, no more`)
    t.equal(tvr(data), `00000000${bits}`, why)
    t.equal(tsi(data), `${status}00`, why)
  }
})

t.test('scripts: only 90, 62 and 63 let the next command go', async (t) => {
  for (let sw1 = 0x60; sw1 <= 0x9f; sw1++) {
    if (sw1 === 0x70) sw1 = 0x90
    const goesOn = [0x62, 0x63, 0x90].includes(sw1)
    const sw = `${sw1.toString(16).toUpperCase()}12`
    const data = storeWith()
    const card = answering([sw, '9000'])
    const run = await runIssuerScripts(card, data, [hex(template('71', cmd(A), cmd(B)))], TAG.SCRIPT_71)
    t.equal(toHex(run.results).slice(0, 2), goesOn ? '20' : '11', sw)
    t.same(card.sent, goesOn ? [A, B] : [A], sw)
    t.equal(tvr(data).slice(8), goesOn ? '00' : '20', sw)
  }
})

t.test('scripts: a card that leaves keeps the results until then, the rest are not performed', async (t) => {
  const data = storeWith()
  const scripts = [template('72', ID, cmd(A)), template('72', cmd(A), cmd(B)), template('72', cmd(B))]
  const run = await runIssuerScripts(answering(['9000', '9000']), data, scripts.map(hex), TAG.SCRIPT_72)
  t.match(run.end, { reason: 'removed' })
  t.equal(toHex(run.results), '201122334412000000000000000000')
  t.equal(tvr(data), '0000000010')
})

t.test('issuer authentication: AIP × tag 91 × answer', async (t) => {
  const EXTERNAL = '008200000A11223344556677883030'
  const rows: readonly (readonly [string, string | undefined, string, string[], string, string])[] = [
    // AIP, tag 91, answer; then what is sent, TVR byte 5, TSI byte 1.
    ['0400', '11223344556677883030', '9000', [EXTERNAL], '00', '10'],
    ['7D00', '11223344556677883030', '9000', [EXTERNAL], '00', '10'],
    ['0400', '11223344556677883030', '6300', [EXTERNAL], '40', '10'],
    ['0400', '11223344556677883030', '6985', [EXTERNAL], '40', '10'],
    ['0400', '11223344556677883030', '6200', [EXTERNAL], '40', '10'],
    ['0400', undefined, '9000', [], '00', '00'],
    ['FB00', '11223344556677883030', '9000', [], '00', '00'],
  ]
  for (const [aip, given, sw, sent, bits, status] of rows) {
    const data = storeWith({ [TAG.AIP]: aip }, given ? { [TAG.ISSUER_AUTHENTICATION_DATA]: given } : {})
    const card = answering([sw])
    t.equal(await issuerAuthentication(card, data), undefined)
    t.same(card.sent, sent, aip)
    t.equal(tvr(data).slice(8), bits)
    t.equal(tsi(data), `${status}00`)
  }
  const gone = storeWith({ [TAG.AIP]: '0400' }, { [TAG.ISSUER_AUTHENTICATION_DATA]: '1122334455667788' })
  t.match(await issuerAuthentication(answering([]), gone), { reason: 'removed' })
  t.equal(tsi(gone), '0000')
})
