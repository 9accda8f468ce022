// The PC/SC driver on the real stack: pcscd, vsmartcard's virtual reader, and cards that connect to it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { fromHex, toHex } from '../../hal/base/bytes.js'
import { systemClock } from '../../hal/base/clock.js'
import { PCSC_LIBRARIES } from '../../hal/drivers/pcsc/load-pcsc-binding.js'
import { pcscContactlessDriver, pcscDriver } from '../../hal/drivers/pcsc/pcsc-driver.js'
import type { VirtualCard } from '../../hal/simulated/virtual-card.js'
import { openDeck } from '../../scripts/dev/issuer/deck.js'
import { type InsertedCard, insertIntoVpcd } from '../../scripts/dev/issuer/vpcd-card.js'
import { type PcscStack, pcscStackMissing, startPcscd, VPCD_READERS } from '../../scripts/dev/pcscd.js'
import { chipCardReaderConformance } from '../hal/conformance/chip-card-reader.js'
import { contactlessReaderConformance } from '../hal/conformance/contactless-reader.js'
import { eventually, testCard, testContext, within } from '../hal/conformance/support.js'
import { payWithCard } from './card-payment.js'

/** pcscd looks at a slot every 400 ms; a real reader keeps a removal in mind, vpcd's does not. */
const LOOK_MS = 900

/** The card as a contactless reader shows it: ATR of PC/SC part 3, 3.1.3.2.3, and GET DATA answered by the reader. */
function inTheField(card: VirtualCard, type: 'A' | 'B' | 'storage', uid = '04A1B2C3'): VirtualCard {
  const atr = {
    A: '3B84800114434F4D',
    B: '3B888001000000003381810000',
    storage: '3B8F8001804F0CA000000306030001000000006A',
  }[type]
  return {
    ...card,
    powerOn: () => (card.powerOn() === undefined ? undefined : withTck(fromHex(atr))),
    transmit(command) {
      if (command[0] !== 0xff) return card.transmit(command)
      if (command[2] === 0) return fromHex(`${uid}9000`)
      return fromHex(type === 'A' ? '14434F4D9000' : '6A81')
    },
  }
}
/** ISO/IEC 7816-3, 8.2.5: all bytes from T0 on exclusive-or to zero. */
function withTck(atr: Uint8Array): Uint8Array {
  const historical = 4 + (atr[1]! & 0x0f)
  const head = atr.subarray(0, historical)
  return Uint8Array.of(
    ...head,
    head.slice(1).reduce((sum, byte) => sum ^ byte, 0),
  )
}

const missing = pcscStackMissing()
t.setTimeout(900_000)
if (missing !== undefined) {
  t.test('the PC/SC stack', { skip: missing }, () => Promise.resolve())
} else {
  const folder = mkdtempSync(join(tmpdir(), 'pcsc-'))
  const stack: PcscStack = await startPcscd(folder)
  t.teardown(async () => {
    await stack.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  process.env['PCSCLITE_CSOCK_NAME'] = stack.daemonSocket
  let inserted: InsertedCard[] = []
  const pull = async () => {
    if (inserted.length === 0) return
    // Not awaited: a card that hangs in a command is pulled all the same.
    for (const card of inserted) void card.remove()
    inserted = []
    await systemClock.sleep(LOOK_MS)
  }
  const put = async (card: VirtualCard, slot: number) =>
    void inserted.push(await insertIntoVpcd(card, { path: stack.slotSockets[slot]! }))
  const cable = { unplug: () => stack.stopDaemon(), plug: () => stack.startDaemon() }
  const open = (reader: string) => pcscDriver.open({ reader }, testContext('chip'))

  for (const library of PCSC_LIBRARIES) {
    await t.test(`contact conformance over pcscd, by ${library}`, (t) =>
      chipCardReaderConformance(t, {
        open: () => pcscDriver.open({ reader: 'virtual*', slot: 0, library }, testContext('chip')),
        insert: (card) => put(card, 0),
        pull,
        cable,
      }),
    )
    await t.test(`contactless conformance over pcscd, by ${library}`, (t) =>
      contactlessReaderConformance(t, {
        open: () =>
          pcscContactlessDriver.open({ reader: 'virtual', slots: [0, 1], library }, testContext('field')),
        tap: (card) => put(inTheField(card, 'A'), inserted.length),
        leave: pull,
        cable,
      }),
    )
  }

  await t.test(
    'what a contactless reader tells of a card: its type, a tag, a phone that keeps its cards',
    async (t) => {
      const field = await pcscContactlessDriver.open({ reader: '00 00' }, testContext('field'))
      t.teardown(() => field.close())
      await eventually('there', () => field.status().presence === 'ready')
      const events: string[] = []
      field.on((event) => event.type !== 'status' && events.push(event.type))
      const poll = within('poll', field.poll())
      await put(inTheField(testCard(), 'storage', '04A1B2C3'), 0)
      await eventually('the tag was looked at', () => field.statistics()['FailedReadCount']! === 1)
      t.same(events, [], 'a tag is no phone')
      await pull()
      await put(inTheField(testCard(), 'storage', '08A1B2C3'), 0)
      await eventually('the phone was looked at', () => field.statistics()['FailedReadCount']! === 2)
      t.same(events, ['seePhone'])
      await pull()
      await put(inTheField(testCard(), 'B'), 0)
      const outcome = await poll
      t.match(outcome, { kind: 'session', technology: 'B' })
      await pull()
      await eventually('told', () => events.length === 2)
      t.equal(events[1], 'removedEarly')
    },
  )

  await t.test('the second reader is found by its name, and a wrong name says what is there', async (t) => {
    const second = await open('pcd 00 01')
    const wrong = await open('Gemalto')
    t.equal(second.status().presence, 'ready')
    t.equal(wrong.status().presence, 'lost')
    t.match(wrong.status().detail, /Gemalto.*Virtual PCD 00 00, Virtual PCD 00 01/)
    const card = await insertIntoVpcd(testCard(), { path: stack.slotSockets[1] })
    await within('waitForCard', second.waitForCard())
    const outcome = await within('powerOn', second.powerOn())
    t.equal(outcome.kind, 'session')
    if (outcome.kind === 'session') {
      const answer = await outcome.session.transmit(Uint8Array.of(0x00, 0xa4, 0x04, 0x00, 0x00))
      t.equal(answer.kind === 'response' && toHex(answer.bytes), '04009000')
    }
    await card.remove()
    await eventually('empty', () => second.status().state === 'empty')
    await Promise.all([second.close(), wrong.close()])
  })

  await t.test('cards of the deck pay over pcscd, T=1 and T=0, with and without PIN', async (t) => {
    const keysDir = join(folder, 'keys')
    const deck = openDeck({ keysDir })
    for (const [id, cvm] of [
      ['credit-pin', 'pin'],
      ['t0-credit', 'pin'],
      ['credit-offline-pin', 'pin'],
      ['debit-signature', 'signature'],
    ] as const) {
      const reader = await open(VPCD_READERS[0])
      t.teardown(() => reader.close())
      await eventually('the reader is there', () => reader.status().presence === 'ready')
      const card = await insertIntoVpcd(deck.card(id), { path: stack.slotSockets[0] })
      const pin = deck.cards.find((each) => each.id === id)!.pinHint
      const final = await within(
        id,
        payWithCard(reader, { keysDir, pin, takeCard: () => void card.remove() }),
      )
      t.match(final, { kind: 'approved', facts: { cvm, entryMode: 'chip' } }, id)
      await eventually('the slot is empty', () => reader.status().state === 'empty')
      await reader.close()
    }
  })

  await t.test('an APDU is not slowed by the wire', async (t) => {
    const reader = await open(VPCD_READERS[0])
    t.teardown(() => reader.close())
    const card = await insertIntoVpcd(testCard(), { path: stack.slotSockets[0] })
    await within('waitForCard', reader.waitForCard())
    const outcome = await within('powerOn', reader.powerOn())
    if (outcome.kind !== 'session') throw new Error(outcome.kind)
    const rounds = 300
    const startedMs = systemClock.monotonicMs()
    for (let n = 0; n < rounds; n++) {
      const answer = await outcome.session.transmit(Uint8Array.of(0x00, 0xb2, n & 0xff, 0x0c, 0x00))
      if (answer.kind !== 'response') throw new Error(answer.kind)
    }
    t.comment(
      `${((systemClock.monotonicMs() - startedMs) / rounds).toFixed(2)} ms an APDU, card and wire included`,
    )
    t.ok(reader.statistics()['CommandCount']! >= rounds)
    await reader.close()
    await card.remove()
  })
}
