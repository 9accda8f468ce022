// The PN532 driver: frames of the manual, and the contactless suite against a scripted chip at the other end of a pty.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { fromHex, toHex } from '../../../hal/base/bytes.js'
import { systemClock } from '../../../hal/base/clock.js'
import { dataExchange, readStatus, readTargets } from '../../../hal/drivers/pn532/commands.js'
import { ACK, createFrameReader, encodeFrame, NACK } from '../../../hal/drivers/pn532/frames.js'
import { pn532UartDriver } from '../../../hal/drivers/pn532/pn532-driver.js'
import { openPty, ptyMissing } from '../../../scripts/dev/pty.js'
import { contactlessReaderConformance } from '../conformance/contactless-reader.js'
import { codeOf, eventually, testCard, testContext, within } from '../conformance/support.js'
import { createPn532Machine } from './pn532-machine.js'

t.test('frames are those of the manual', async (t) => {
  // UM0701-02, 7.2.2: GetFirmwareVersion and its answer.
  t.equal(toHex(encodeFrame(fromHex('02'))), '0000FF02FED4022A00')
  const [answer] = createFrameReader().push(fromHex('0000FF06FAD50332010607E800'))
  t.same(answer, { kind: 'data', tfi: 0xd5, data: fromHex('0332010607') })
  const kinds = (hex: string) =>
    createFrameReader()
      .push(fromHex(hex))
      .map(({ kind }) => kind)
  t.same(kinds(toHex(ACK) + toHex(NACK)), ['ack', 'nack'])
  t.same(kinds('0000FF01FF7F8100'), ['error'], '6.2.1.5')
  t.same(kinds('55550000FF02FED4022B00'), ['broken'])
  t.same(
    kinds('0000FF02FDD4022A000000FF02FED4022A00'),
    ['data'],
    'a wrong length is no frame; the next one is found',
  )
  // 6.2.1.2: more than 255 bytes with TFI take the extended form.
  const long = encodeFrame(new Uint8Array(264).fill(0xa5))
  t.equal(toHex(long.subarray(0, 9)), '0000FFFFFF0109F6D4')
  const reader = createFrameReader()
  const pieces = [...long].flatMap((byte) => reader.push(Uint8Array.of(byte)))
  t.equal(pieces.length, 1)
  t.ok(pieces[0]?.kind === 'data' && pieces[0].data.length === 264)
  t.throws(() => encodeFrame(new Uint8Array(265)), { code: 'DEVICE_PROTOCOL' })
  t.throws(() => encodeFrame(new Uint8Array(0)), { code: 'DEVICE_PROTOCOL' })
})

t.test(
  'targets become cards with the ATR of PC/SC part 3; answers that do not hold are refused',
  async (t) => {
    const a = readTargets(fromHex('01010004200401234567067577810280'), 'A')
    t.match(a, [{ technology: 'A', uid: fromHex('01234567') }])
    t.equal(toHex(a[0]!.atr!), '3B8180018080')
    t.same(readTargets(fromHex('010100040804AABBCCDD'), 'A')[0]!.atr, undefined, 'no part 4')
    const b = readTargets(fromHex('01015011223344010203040081810121'), 'B')
    t.equal(toHex(b[0]!.uid), '11223344')
    t.equal(toHex(b[0]!.atr!.subarray(0, 12)), '3B8880010102030400818120', 'MBLI of the answer to ATTRIB')
    t.same(readTargets(fromHex('00'), 'A'), [])
    for (const bad of [
      '',
      '03',
      '0101',
      '01010004',
      '0101000420040123',
      '010100042004012345670675',
      '0101000420040123456700',
    ])
      t.throws(() => readTargets(fromHex(bad), 'A'), { code: 'DEVICE_PROTOCOL' }, bad)
    t.same([0x00, 0x40, 0x01, 0x2b, 0x3f].map(readStatus), [
      { status: 'ok', more: false },
      { status: 'ok', more: true },
      { status: 'silent', more: false },
      { status: 'gone', more: false },
      { status: 'broken', more: false },
    ])
    t.equal(toHex(dataExchange(fromHex('00A4'), true)), '404100A4')
  },
)

const missing = ptyMissing()
if (missing !== undefined) t.test('a PN532 on a pty', { skip: missing }, () => Promise.resolve())
else {
  t.setTimeout(240_000)
  const folder = mkdtempSync(join(tmpdir(), 'pn532-'))
  const path = join(folder, 'line')
  let machine: ReturnType<typeof createPn532Machine> | undefined
  const pty = await openPty(systemClock, {
    path,
    baudRate: 115_200,
    arrived: (bytes) => machine!.receive(bytes),
  })
  const chip = createPn532Machine((bytes) => pty.say(bytes))
  machine = chip
  t.teardown(async () => {
    await pty.unplug()
    rmSync(folder, { recursive: true, force: true })
  })
  const open = () => pn532UartDriver.open({ path, baudRate: 115_200 }, testContext('field'))

  await t.test('the contactless suite on a pty', (t) =>
    contactlessReaderConformance(t, {
      open,
      tap: (card) => chip.tap(card, { part4: card.powerOn() !== undefined }),
      leave: () => chip.leave(),
      field: () => chip.field(),
      cable: {
        async unplug() {
          chip.powerLoss()
          await pty.unplug()
        },
        plug: () => pty.plug(),
      },
    }),
  )

  await t.test('a line that is deaf and noisy for a moment loses no command', async (t) => {
    const reader = await open()
    t.teardown(() => reader.close())
    await eventually('there', () => reader.status().presence === 'ready')
    const card = testCard()
    chip.tap(card, { technology: 'B' })
    const outcome = await within('poll', reader.poll())
    if (outcome.kind !== 'session') throw new Error(outcome.kind)
    t.equal(outcome.technology, 'B')
    chip.faults.deaf = 1
    chip.faults.broken = 2
    const before = chip.commands()
    t.same(await within('transmit', outcome.session.transmit(fromHex('00B2010C00'))), {
      kind: 'response',
      bytes: fromHex('010C9000'),
    })
    t.equal(chip.commands(), before + 1, 'the card has seen the command once')
    await outcome.session.release()
    chip.leave()
  })

  await t.test('long commands go in pieces, long answers come in pieces', async (t) => {
    const reader = await open()
    t.teardown(() => reader.close())
    await eventually('there', () => reader.status().presence === 'ready')
    const card = testCard()
    chip.tap(card)
    const outcome = await within('poll', reader.poll())
    if (outcome.kind !== 'session') throw new Error(outcome.kind)
    const { session } = outcome
    const long = fromHex(`00D60000FF${'A5'.repeat(255)}00`)
    t.match(await within('transmit', session.transmit(long)), { kind: 'response' })
    t.equal(toHex(card.commands.at(-1)!), toHex(long))
    for (const piece of [100, 262]) {
      chip.faults.piece = piece
      const answer = await within('transmit', session.transmit(fromHex('00DD000000')))
      t.same(
        answer,
        { kind: 'response', bytes: await card.transmit(fromHex('00DD000000')) },
        `${piece} a piece`,
      )
    }
    chip.faults.piece = 254
    await session.release()
    chip.leave()
  })

  await t.test('a silent card ends at the bound, an abort is told to the chip by an ACK', async (t) => {
    const reader = await open()
    t.teardown(() => reader.close())
    await eventually('there', () => reader.status().presence === 'ready')
    chip.tap(testCard())
    const session = async () => {
      const outcome = await within('poll', reader.poll())
      if (outcome.kind !== 'session') throw new Error(outcome.kind)
      return outcome.session
    }
    const first = await session()
    const hang = fromHex('00EE000000')
    t.same(await within('time-out', first.transmit(hang, { timeoutMs: 300 })), { kind: 'timeout' })
    t.same(await within('again', first.transmit(hang)), { kind: 'timeout' })
    await first.release()
    const second = await session()
    const aborts = chip.aborts.count
    const seen = chip.commands()
    const stop = new AbortController()
    const code = codeOf('aborted', second.transmit(hang, { signal: stop.signal }))
    await eventually('the command reaches the card', () => chip.commands() > seen)
    stop.abort()
    t.equal(await code, 'ABORTED')
    await eventually('told', () => chip.aborts.count > aborts)
    t.equal(await codeOf('after', second.transmit(hang)), 'DEVICE_CLOSED')
    await second.release()
    await (await session()).release()
    t.equal(reader.status().presence, 'ready')
    chip.leave()
  })

  await t.test(
    'a card that leaves between two commands is missed; a phone without a card is told',
    async (t) => {
      const reader = await open()
      t.teardown(() => reader.close())
      await eventually('there', () => reader.status().presence === 'ready')
      const events: unknown[] = []
      reader.on((event) => event.type !== 'status' && events.push(event))
      chip.tap(testCard())
      await within('poll', reader.poll())
      chip.leave()
      await eventually('told', () => events.length === 1)
      t.same(events, [{ type: 'removedEarly', torn: false }])
      await eventually('the field is off', () => !chip.field())
      const stop = new AbortController()
      const poll = codeOf('poll', reader.poll(stop.signal))
      chip.tap(testCard(), { uid: fromHex('08AABBCC'), part4: false })
      await eventually('told', () => events.length === 2)
      t.same(events[1], { type: 'seePhone' })
      stop.abort()
      t.equal(await poll, 'ABORTED')
      chip.leave()
    },
  )

  await t.test('a chip that falls silent is lost, and comes back', async (t) => {
    const reader = await open()
    t.teardown(() => reader.close())
    await eventually('there', () => reader.status().presence === 'ready')
    chip.faults.deaf = 4
    await eventually('lost', () => reader.status().presence === 'lost')
    t.equal(reader.status().detail, 'the PN532 does not answer')
    await eventually('back', () => reader.status().presence === 'ready')
  })
}
