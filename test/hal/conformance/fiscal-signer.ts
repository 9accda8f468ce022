// Conformance of a fiscal signer's driver with hal/fiscal-signer.ts.
import type { Test } from 'tap'
import type { FiscalReceipt, FiscalSigner } from '../../../hal/fiscal-signer.js'
import { codeOf, type DeviceBench, deviceConformance, opened, untilPresence, within } from './support.js'

export interface FiscalSignerBench extends DeviceBench<FiscalSigner> {
  /** Cuts the end of the signer's log off, as a power cut in the middle of a write; absent where nobody can. */
  tear?(): void
  /** True where the code's signature is right; absent where the scheme can't be checked here. */
  verify?(code: string): boolean
}

export async function fiscalSignerConformance(t: Test, bench: FiscalSignerBench): Promise<void> {
  await deviceConformance(t, bench)
  const receipt = (id: string, more: Partial<FiscalReceipt> = {}): FiscalReceipt => ({
    id,
    kind: 'sale',
    atMs: Date.UTC(2026, 10, 22, 8, 30),
    amountMinor: 2450n,
    currency: 'EUR',
    terminalId: 'PD000001',
    receiptNumber: 7,
    operator: '1001',
    ...more,
  })

  await t.test('each receipt once, numbered without a gap, over restarts and lost answers', async (t) => {
    const signer = await opened(bench)
    const first = await within('sign', signer.sign(receipt('PD000001/one')))
    const second = await signer.sign(receipt('PD000001/two', { kind: 'refund' }))
    t.equal(second.counter, first.counter + 1)
    t.same(await signer.sign(receipt('PD000001/one')), first, 'asked again: the same')
    t.equal(
      await codeOf('other amount', signer.sign(receipt('PD000001/one', { amountMinor: 1n }))),
      'DEVICE_PROTOCOL',
    )
    t.equal(await codeOf('bad id', signer.sign(receipt('a;b'))), 'DEVICE_UNSUPPORTED')
    for (const { code, text, serial } of [first, second]) {
      t.match(code, /^[\x20-\x7e]{1,600}$/)
      t.ok(text.length <= 40 && serial.length <= 80)
      if (bench.verify !== undefined) {
        t.ok(bench.verify(code), 'the signature holds')
        t.notOk(bench.verify(code.replace('2450', '2451')), 'and covers the amount')
      }
    }
    await signer.close()
    bench.tear?.()
    const again = await within('open again', bench.open())
    await untilPresence(again, 'ready')
    t.same(await again.sign(receipt('PD000001/two', { kind: 'refund' })), second)
    t.equal((await again.sign(receipt('PD000001/three'))).counter, second.counter + 1)
    await again.close()
    t.equal(await codeOf('closed', again.sign(receipt('PD000001/four'))), 'DEVICE_CLOSED')
  })

  const { cable } = bench
  if (cable === undefined) return
  await t.test('unplugged it signs nothing; plugged in again it goes on', async (t) => {
    const signer = await opened(bench)
    await cable.unplug()
    await untilPresence(signer, 'lost')
    t.equal(await codeOf('unplugged', signer.sign(receipt('PD000001/five'))), 'DEVICE_LOST')
    await cable.plug()
    await untilPresence(signer, 'ready')
    t.ok((await signer.sign(receipt('PD000001/five'))).counter > 0)
    await signer.close()
  })
}
