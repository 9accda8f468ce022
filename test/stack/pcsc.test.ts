// The PC/SC driver on the real stack: pcscd, vsmartcard's virtual reader, and cards that connect to it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { toHex } from '../../hal/base/bytes.js'
import { systemClock } from '../../hal/base/clock.js'
import { pcscDriver } from '../../hal/drivers/pcsc/pcsc-driver.js'
import { openDeck } from '../../scripts/dev/issuer/deck.js'
import { type InsertedCard, insertIntoVpcd } from '../../scripts/dev/issuer/vpcd-card.js'
import { type PcscStack, pcscStackMissing, startPcscd, VPCD_READERS } from '../../scripts/dev/pcscd.js'
import { chipCardReaderConformance } from '../hal/conformance/chip-card-reader.js'
import { eventually, testCard, testContext, within } from '../hal/conformance/support.js'
import { payWithCard } from './card-payment.js'

/** pcscd looks at a slot every 400 ms; a real reader keeps a removal in mind, vpcd's does not. */
const LOOK_MS = 900

const missing = pcscStackMissing()
t.setTimeout(240_000)
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
  let inserted: InsertedCard | undefined
  const pull = async () => {
    if (inserted === undefined) return
    // Not awaited: a card that hangs in a command is pulled all the same.
    void inserted.remove()
    inserted = undefined
    await systemClock.sleep(LOOK_MS)
  }
  const open = (reader: string) => pcscDriver.open({ reader }, testContext('chip'))

  await t.test('conformance over pcscd', (t) =>
    chipCardReaderConformance(t, {
      open: () => open(VPCD_READERS[0]),
      async insert(card) {
        inserted = await insertIntoVpcd(card, { path: stack.slotSockets[0] })
      },
      pull,
      cable: { unplug: () => stack.stopDaemon(), plug: () => stack.startDaemon() },
    }),
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
