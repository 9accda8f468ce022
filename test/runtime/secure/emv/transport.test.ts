// Transport and ATR: what passes between reader and kernel.
import t from 'tap'
import { toHex } from '../../../../hal/base/bytes.js'
import { checkAtr } from '../../../../runtime/secure/emv/atr.js'
import { readRecord, select, verifyPin } from '../../../../runtime/secure/emv/commands.js'
import { cardChannel, MAX_EXCHANGES } from '../../../../runtime/secure/emv/transport.js'
import { hex } from './kernel-inputs.js'
import { type ScriptStep, scriptedCard } from './scripted-card.js'

t.test('61xx fetches the answer, in pieces where the card gives pieces', async (t) => {
  const card = scriptedCard(
    [
      ['READ RECORD', '00 B2 01 0C 00', '61 04'],
      ['GET RESPONSE', '00 C0 00 00 04', '70 02 61 02'],
      ['GET RESPONSE for the rest', '00 C0 00 00 02', '9C 00 90 00'],
    ],
    { protocol: 'T=0' },
  )
  const answer = await card.channel.exchange(readRecord(1, 1))
  t.match(answer, { kind: 'answer', sw: 0x9000 })
  t.equal(toHex((answer as { data: Uint8Array }).data), '70029C00')
  card.done()
})

t.test('6Cxx repeats the command with the length that the card names', async (t) => {
  const card = scriptedCard([
    ['READ RECORD', '00 B2 01 0C 00', '6C 02'],
    ['again', '00 B2 01 0C 02', '70 00 90 00'],
  ])
  t.match(await card.channel.exchange(readRecord(1, 1)), { sw: 0x9000 })
  card.done()
})

t.test('T=0: after a warning the data are fetched and the warning stays', async (t) => {
  const card = scriptedCard(
    [
      ['SELECT', '00 A4 04 00 05 A0 00 00 00 03 00', '62 83'],
      ['GET RESPONSE', '00 C0 00 00 00', '6C 02'],
      ['again', '00 C0 00 00 02', '6F 00 90 00'],
    ],
    { protocol: 'T=0' },
  )
  const answer = await card.channel.exchange(select(hex('A000000003')))
  t.match(answer, { sw: 0x6283 })
  t.equal(toHex((answer as { data: Uint8Array }).data), '6F00')
  card.done()
})

t.test('an error status carries no data', async (t) => {
  const card = scriptedCard([['READ RECORD', '00 B2 01 0C 00', '70 00 6A 83']])
  const answer = await card.channel.exchange(readRecord(1, 1))
  t.match(answer, { sw: 0x6a83 })
  t.equal((answer as { data: Uint8Array }).data.length, 0)
})

t.test('what the card does is an outcome', async (t) => {
  const outcome = async (response: string | { kind: 'removed' | 'mute' | 'timeout' }) =>
    scriptedCard([['READ RECORD', '00 B2 01 0C 00', response]]).channel.exchange(readRecord(1, 1))
  t.match(await outcome({ kind: 'removed' }), { kind: 'end', reason: 'removed' })
  t.match(await outcome({ kind: 'mute' }), { kind: 'end', reason: 'cardError' })
  t.match(await outcome({ kind: 'timeout' }), { kind: 'end', reason: 'cardError' })
  t.match(await outcome('90'), { kind: 'end', rule: 'answer without status words' })
  t.match(await outcome('12 34'), { kind: 'end', rule: 'no status word' })
  t.match(await outcome('60 00'), { kind: 'end', rule: 'no status word' })
})

t.test('a card that asks for ever is left', async (t) => {
  const endless = (answer: string) =>
    cardChannel({
      protocol: 'T=0',
      transmit: async () => ({ kind: 'response', bytes: hex(answer) }),
    })
  t.match(await endless('6101').exchange(readRecord(1, 1)), { kind: 'end', reason: 'cardError' })
  t.match(await endless('6C01').exchange(readRecord(1, 1)), { kind: 'end', reason: 'cardError' })
  t.match(await endless(`${'00'.repeat(256)}61FF`).exchange(readRecord(1, 1)), {
    rule: 'card keeps asking for another exchange',
  })
  const patient = endless('6985')
  for (let i = 0; i < MAX_EXCHANGES; i++) await patient.exchange(readRecord(1, 1))
  t.match(await patient.exchange(readRecord(1, 1)), { kind: 'end', rule: /more commands/ })
})

t.test('ATR: what EMV accepts and what it refuses', async (t) => {
  const verdict = (atr: string) => {
    const result = checkAtr(hex(atr))
    return result.kind === 'emv' ? result.protocol : result.rule.split(',')[0]
  }
  t.equal(verdict('3B 60 00 00'), 'T=0')
  t.equal(verdict('3B E0 00 FF 81 31 7C 41 92'), 'T=1')
  t.equal(verdict('3B E0 00 FF 81 31 7C 41 93'), 'TCK')
  t.equal(verdict('3B E0 00 FF 81 31 7C 41'), 'TCK missing')
  t.equal(verdict('3C 60 00 00'), 'TS is neither 3B nor 3F')
  t.equal(verdict('3B'), 'length')
  t.equal(verdict('3B 65 00 00 20'), 'historical characters cut short')
  t.equal(verdict('3B F0 11'), 'cut short')
  t.equal(verdict('3B E0 00 FF 81 31 0F 41 E1'), 'TA3')
  t.equal(verdict('3B E0 00 FF 81 31 7C 56 85'), 'TB3')
  t.equal(verdict('3B E0 00 FF 81 11 7C 61'), 'TB3', 'T=1 without TB3')
  t.equal(verdict('3B E0 00 FF 81 71 7C 41 01 D3'), 'TC3')
  t.equal(verdict('3B E0 00 01 81 31 7C 41 00'), 'TC1')
  t.equal(verdict('3B 80 0E'), 'TD1')
  t.equal(verdict('3B 90 14 10 00'), 'TA1', 'a rate that no terminal carries, in specific mode')
  t.equal(verdict('3B 90 14 00 00'), 'T=0', 'the same one negotiable')
  t.equal(verdict('3B 80 10 11'), 'TA2', 'another protocol than TD1')
  t.equal(verdict('3B 80 20 00'), 'TB2')
  t.equal(verdict('3B 80 40 00'), 'TC2')
  t.equal(verdict('3B 80 80 02'), 'TD2')
  t.equal(verdict('3B 80 81 00'), 'TD2', 'T=0 after T=1')
  t.equal(verdict('3B 80 80 1F 08'), 'TA3', 'a reserved class')
  t.equal(verdict('3B 80 80 1F 07 18'), 'T=0', 'classes A, B and C')
  t.equal(verdict('3B 80 80 0E 0E'), 'T=0', 'global characters under the value that v4.3 gives them')
  t.equal(verdict('3B 80 80 01 01'), 'T=0', 'T=1 as well')
  t.equal(verdict('3B 80 80 31 0F 41 CE'), 'TA3', 'its IFSC counts though T=0 is spoken')
  t.equal(verdict('3B 80 80 01 02'), 'TCK')
  t.equal(verdict('3B 00'), 'T=0', 'no interface character at all')
  t.equal(verdict('3F 65 25 00 22 63 CB A0 00'), 'T=0', 'TB1 with a programming voltage')
  t.equal(verdict('3B E0 00 00 81 31 FE 40 EE'), 'T=1', 'CWI 0')
  t.equal(verdict('3B 80 40 0A'), 'T=0')
  t.equal(verdict('3B 80 C1 0A 31 FE 45 F0'), 'TC2', 'a character of T=0 behind T=1')
  t.equal(verdict('3B E0 00 00 81 31 FF 45 14'), 'TA3', 'IFSC FF')
  t.equal(verdict('3B 80 80 9F 01 8F 80 80 80 80 80 80'), 'too many interface characters')
})

/** A reader that maps nothing: what is sent, what the card sent back. */
const tpduCard = (steps: readonly ScriptStep[]) => {
  const card = scriptedCard(steps, { protocol: 'T=0' })
  return { ...card, channel: cardChannel({ ...card.session, level: 'tpdu' }) }
}

t.test('T=0 by header, procedure byte and data', async (t) => {
  const card = tpduCard([
    ['SELECT, header', '00 A4 04 00 05', '60 60 5B'],
    ['one byte, as the complement asks', 'A0', '60 A4'],
    ['the rest', '00 00 00 03', '61 04'],
    ['GET RESPONSE', '00 C0 00 00 04', '60 C0 6F 02 61 02'],
    ['GET RESPONSE, byte by byte', '00 C0 00 00 02', '3F 84 60 3F 00 90 00'],
  ])
  const answer = await card.channel.exchange(select(hex('A000000003')))
  t.match(answer, { kind: 'answer', sw: 0x9000 })
  t.equal(toHex((answer as { data: Uint8Array }).data), '6F028400')
  card.done()

  const refused = tpduCard([['VERIFY, refused by its header', '00 20 00 80 08', '69 83']])
  t.match(await refused.channel.exchange(verifyPin(hex('241234FFFFFFFFFF'), 'plaintext')), { sw: 0x6983 })
  const plain = tpduCard([['case 1 gets P3 = 00', '80 16 00 00 00', '90 00']])
  t.match(await plain.channel.exchange(hex('80160000')), { sw: 0x9000, data: new Uint8Array() })
})

t.test('T=0: a card that breaks the procedure is a card error', async (t) => {
  const ends = async (command: Uint8Array, ...steps: ScriptStep[]) =>
    t.match(await tpduCard(steps).channel.exchange(command), { kind: 'end', reason: 'cardError' })
  await ends(readRecord(1, 1), ['nothing but NULL', '00 B2 01 0C 00', '60'])
  await ends(readRecord(1, 1), ['ACK without status', '00 B2 01 0C 00', 'B2 70'])
  await ends(readRecord(1, 1), ['a byte that is neither', '00 B2 01 0C 00', 'B3 70 00 90 00'])
  await ends(readRecord(1, 1), ['one byte, then nothing', '00 B2 01 0C 00', '4D 70'])
  await ends(readRecord(1, 1), ['bytes behind the status', '00 B2 01 0C 00', '6A 83 00'])
  await ends(readRecord(1, 1), ['60 is no SW1', '00 B2 01 0C 00', '60 60'])
  await ends(readRecord(1, 1), ['more than T=0 carries', '00 B2 01 0C 00', `B2${'00'.repeat(257)}9000`])
  await ends(hex('80160000'), ['data for case 1', '80 16 00 00 00', '16 00 90 00'])
  await ends(
    verifyPin(hex('241234FFFFFFFFFF'), 'plaintext'),
    ['VERIFY', '00 20 00 80 08', '20'],
    ['the data', '24 12 34 FF FF FF FF FF', '20'],
  )
  t.match(
    await tpduCard([['gone', '00 B2 01 0C 00', { kind: 'removed' }]]).channel.exchange(readRecord(1, 1)),
    { kind: 'end', reason: 'removed' },
  )
})

t.test('T=0: 9xxx other than 9000 counts as a warning', async (t) => {
  const card = scriptedCard(
    [
      ['SELECT', '00 A4 04 00 05 A0 00 00 00 03 00', '91 00'],
      ['GET RESPONSE', '00 C0 00 00 00', '6F 00 90 00'],
    ],
    { protocol: 'T=0' },
  )
  t.match(await card.channel.exchange(select(hex('A000000003'))), { sw: 0x9100, data: hex('6F00') })
  card.done()
})
