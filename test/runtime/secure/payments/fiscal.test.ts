// Fiscal signatures: before printing, once a receipt, over cuts and a signer that fails; where none are wanted nothing changes.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { PosternError } from '../../../../hal/base/errors.js'
import { silentLog } from '../../../../hal/base/log.js'
import type { FiscalReceipt, FiscalSigner } from '../../../../hal/fiscal-signer.js'
import { fiscalSignerDriver } from '../../../../hal/simulated/fiscal-signer.js'
import { checker } from '../../../../runtime/api/contract.js'
import { PaymentView } from '../../../../runtime/api/payments.js'
import { receiptDocument } from '../../../../runtime/open/receipts/receipt-document.js'
import { loadReceiptTexts } from '../../../../runtime/open/receipts/receipt-texts.js'
import {
  MERCHANT,
  OWNER,
  PowerCut,
  powerUntil,
  request,
  startTerminal,
  type TerminalOptions,
  TestHost,
  testClock,
  until,
} from './support.js'

const isView = checker(PaymentView)
const FISCAL = { ...MERCHANT, fiscal: { failedText: { en: 'SIGNER FAILED (AO 146a)' } } }

/** The development signer of a folder; what it is asked is counted, and it fails where told. */
async function signerOf(folder: string, t: Test) {
  const context = { id: 'fiscal', clock: testClock(), log: silentLog }
  const device = await fiscalSignerDriver().open({ directory: join(folder, 'fiscal') } as never, context)
  t.teardown(() => device.close())
  const asked: FiscalReceipt[] = []
  const how: { fails: boolean; step: (name: string) => void } = { fails: false, step: () => undefined }
  const signer: FiscalSigner = {
    ...device,
    async sign(receipt, signal) {
      asked.push(receipt)
      if (how.fails) throw new PosternError('DEVICE_LOST', 'gone')
      how.step('before signing')
      const signature = await device.sign(receipt, signal)
      how.step('after signing')
      return signature
    },
  }
  const log = () =>
    readFileSync(join(folder, 'fiscal', 'receipts.log'), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { id: string; counter: number })
  return { signer, asked, how, log }
}

async function made(t: Test, more: Partial<TerminalOptions> = {}) {
  const folder = t.testdir()
  const host = new TestHost()
  const clock = testClock()
  const fiscal = await signerOf(folder, t)
  const terminal = startTerminal({
    folder,
    host,
    clock,
    merchant: FISCAL,
    fiscalSigner: fiscal.signer,
    ...more,
  })
  t.teardown(() => terminal.close())
  return { ...terminal, ...fiscal, host, clock }
}

t.test('sale, refund and void are signed before they are told; what is only reserved is not', async (t) => {
  const { service, log, asked } = await made(t)
  const view = await service.collect(request('sale-0001'), OWNER)
  t.equal(isView(view), undefined)
  t.match(view.receipt?.fiscal, { kind: 'signed', counter: '1', code: /^PSTN-FISCAL-1;/ })
  const amount = { minor: '250', currency: 'EUR' }
  const back = { key: 'back-0001', amount, original: 'sale-0001', reference: 'R', reason: 'x' }
  t.match((await service.refund(back, OWNER)).receipt?.fiscal, { counter: '2' })
  await service.collect(request('sale-0002'), OWNER)
  const voided = await service.voidPayment({ key: 'void-0002', original: 'sale-0002', reason: 'x' }, OWNER)
  t.match(voided, { outcome: 'voided', receipt: { type: 'void', fiscal: { counter: '4' } } })
  await service.preauthorise({ key: 'hold-0001', amount, reference: 'H' }, OWNER)
  t.equal(service.receipt('hold-0001')?.fiscal, undefined)
  t.same(
    asked.map(({ kind, id }) => [kind, id]),
    [
      ['sale', 'T0000001/sale-0001'],
      ['refund', 'T0000001/back-0001'],
      ['sale', 'T0000001/sale-0002'],
      ['void', 'T0000001/void-0002'],
    ].map(([kind, id]) => [kind, id!.replace('T0000001', asked[0]!.terminalId)]),
  )
  const again = await service.collect(request('sale-0001'), OWNER)
  t.same(again.receipt?.fiscal, view.receipt?.fiscal, 'asked again: the same signature')
  t.equal(log().length, 4)
})

t.test('on paper: serial, number, code in words and as QR; or the words of the law', async (t) => {
  const { service, how, clock, notices, journal, signer } = await made(t)
  const texts = loadReceiptTexts()
  const paper = () => {
    const facts = service.receipt('sale-0001')!
    return receiptDocument(facts, { copy: 'customer', locale: 'en', reprint: false }, texts).blocks
  }
  how.fails = true
  const view = await service.collect(request('sale-0001'), OWNER)
  t.match(view, { outcome: 'approved' }, 'the payment stands')
  t.match(
    paper().find((block) => block.kind === 'text' && block.text.includes('AO 146a')),
    { bold: true },
  )
  t.match(notices, [/fiscal signer/i], 'somebody is told, once')
  t.match(service.stuck().items, [{ kind: 'fiscal', key: 'sale-0001', endable: false, code: 'DEVICE_LOST' }])
  await service.collect(request('sale-0002'), OWNER)
  t.equal(notices.length, 1)
  how.fails = false
  await until(clock, () => service.stuck().items.length === 0)
  t.match(journal.payment('sale-0001'), { fiscal: { state: 'signed', counter: 1 } })
  const blocks = paper()
  t.ok(blocks.some((block) => block.kind === 'qr' && block.data.startsWith('PSTN-FISCAL-1;')))
  t.ok(blocks.some((block) => block.kind === 'row' && block.left === 'Signature no.' && block.right === '1'))
  t.ok(
    service.unacknowledged().filter(({ view: { key } }) => key === 'sale-0001').length >= 2,
    'whoever was told without it is told again',
  )
  how.fails = true
  await service.collect(request('sale-0003'), OWNER)
  how.fails = false
  service.signerReady()
  await until(clock, () => service.stuck().items.length === 0, 1, 50)
  t.equal(signer.capabilities.certified, false)
})

t.test('a signer that hangs holds a receipt up no longer than the document says', async (t) => {
  const folder = t.testdir()
  const host = new TestHost()
  const clock = testClock()
  const { signer } = await signerOf(folder, t)
  const hanging: FiscalSigner = { ...signer, sign: () => new Promise(() => undefined) }
  const merchant = { ...MERCHANT, fiscal: { timeoutMs: 1_000, kinds: ['sale' as const] } }
  const terminal = startTerminal({ folder, host, clock, merchant, fiscalSigner: hanging })
  t.teardown(() => terminal.close())
  let view: PaymentView | undefined
  void terminal.service.collect(request('sale-0001'), OWNER).then((done) => {
    view = done
  })
  await until(clock, () => view !== undefined, 500)
  t.match(view, {
    outcome: 'approved',
    receipt: { fiscal: { kind: 'failed', text: 'Fiscal signature failed' } },
  })
})

t.test('wanted, and the board has none; not wanted at all', async (t) => {
  const without = await made(t, { fiscalSigner: undefined })
  const view = await without.service.collect(request('sale-0001'), OWNER)
  t.match(view, { outcome: 'approved', receipt: { fiscal: { kind: 'failed' } } })
  t.match(without.service.stuck().items, [{ kind: 'fiscal', code: 'NO_SIGNER' }])
  const plain = await made(t, { merchant: MERCHANT })
  t.equal((await plain.service.collect(request('sale-0001'), OWNER)).receipt?.fiscal, undefined)
  t.equal(plain.asked.length, 0)
  t.equal(plain.journal.payment('sale-0001')?.fiscal, undefined)
})

t.test('a cut at each step: one signature for each receipt, numbered without a gap', async (t) => {
  let cuts = 0
  for (let at = 1; ; at++) {
    const folder = t.testdir({ [`cut-${at}`]: {} })
    const own = join(folder, `cut-${at}`)
    const host = new TestHost()
    const power = powerUntil(at)
    const fiscal = await signerOf(own, t)
    fiscal.how.step = (name) => power.step(name)
    const before = startTerminal({ folder: own, host, merchant: FISCAL, fiscalSigner: fiscal.signer, power })
    const sale = before.service.collect(request('sale-0001'), OWNER).catch((error: unknown) => error)
    const result = await Promise.race([sale, cutSeen(power)])
    if (!power.off) {
      t.match(result, { receipt: { fiscal: { kind: 'signed', counter: '1' } } })
      await before.close()
      break
    }
    cuts++
    await before.close().catch(() => undefined)
    fiscal.how.step = () => undefined
    const clock = testClock()
    const after = startTerminal({ folder: own, host, clock, merchant: FISCAL, fiscalSigner: fiscal.signer })
    await until(clock, () => after.service.stuck().items.length === 0)
    const record = after.journal.payment('sale-0001')
    const stands = record?.state === 'COMPLETED'
    t.match(fiscal.log(), stands ? [{ counter: 1 }] : [], `${at}: ${power.steps.at(-1)}`)
    if (stands) t.match(record, { fiscal: { state: 'signed', counter: 1 } })
    await after.service.collect(request('sale-0002'), OWNER)
    t.equal(fiscal.log().at(-1)?.counter, stands ? 2 : 1, 'the next number')
    t.ok(after.journal.verify().sound)
    await after.close()
  }
  t.ok(cuts >= 10, `${cuts} cuts`)
})

/** The cut itself may leave promises that never end. */
async function cutSeen(power: { readonly off: boolean }): Promise<unknown> {
  for (let turns = 0; turns < 100_000; turns++) {
    if (power.off) return new PowerCut('off')
    await new Promise((resolve) => setImmediate(resolve))
  }
  return undefined
}
