// Conformance of a secure element's driver with hal/secure-element.ts.
import type { Test } from 'tap'
import type { SecureElement } from '../../../hal/secure-element.js'
import { codeOf, type DeviceBench, deviceConformance, eventually, opened, within } from './support.js'

/** A bench with two elements; `open` opens the first, always the same one. */
export interface SecureElementBench extends DeviceBench<SecureElement> {
  openOther(): Promise<SecureElement>
  /** Opens the case of the first; absent where that can't be undone or simulated. */
  tamper?(): void | Promise<void>
  clear?(): void | Promise<void>
}

export async function secureElementConformance(t: Test, bench: SecureElementBench): Promise<void> {
  await deviceConformance(t, bench)
  const secret = Uint8Array.from({ length: 4_096 }, (_, at) => at * 7)

  await t.test('what was sealed comes back, to the same element and label only', async (t) => {
    const element = await opened(bench)
    const other = await within('open other', bench.openOther())
    for (const length of [0, 1, 32, 4_096]) {
      const sealed = await within('seal', element.seal('keys/main', secret.subarray(0, length)))
      t.same(Buffer.from(await element.unseal('keys/main', sealed)), Buffer.from(secret.subarray(0, length)))
      t.equal(Buffer.from(sealed).includes(Buffer.from(secret.subarray(0, 16))), false)
    }
    const sealed = await element.seal('keys/main', secret)
    t.equal(await codeOf('other label', element.unseal('keys/other', sealed)), 'DEVICE_PROTOCOL')
    t.equal(await codeOf('other element', other.unseal('keys/main', sealed)), 'DEVICE_PROTOCOL')
    for (const at of [0, 5, 20, sealed.length - 1]) {
      const bent = sealed.slice()
      bent[at] = bent[at]! ^ 1
      t.equal(await codeOf(`byte ${at} changed`, element.unseal('keys/main', bent)), 'DEVICE_PROTOCOL')
    }
    t.equal(await codeOf('cut short', element.unseal('keys/main', sealed.subarray(0, 9))), 'DEVICE_PROTOCOL')
    t.equal(await codeOf('too long', element.seal('a', new Uint8Array(4_097))), 'DEVICE_UNSUPPORTED')
    await element.close()
    const again = await within('open again', bench.open())
    t.same(Buffer.from(await again.unseal('keys/main', sealed)), Buffer.from(secret), 'after a restart too')
    await again.close()
    await other.close()
    t.equal(await codeOf('closed', again.seal('a', secret)), 'DEVICE_CLOSED')
  })

  await t.test('counters only go up, each by its name, and outlive a restart', async (t) => {
    const element = await opened(bench)
    const start = await element.counter('ksn')
    const another = await element.counter('another')
    t.equal(await element.increment('ksn'), start + 1n)
    t.equal(await element.increment('ksn'), start + 2n)
    const both = await Promise.all([element.increment('ksn'), element.increment('ksn')])
    t.same(new Set(both), new Set([start + 3n, start + 4n]), 'none is given twice')
    t.equal(await element.counter('another'), another)
    await element.close()
    const again = await within('open again', bench.open())
    t.equal(await again.counter('ksn'), start + 4n)
    await again.close()
  })

  const { tamper, clear } = bench
  if (tamper === undefined || clear === undefined) return
  await t.test('after a tamper nothing unseals, not even when it was cleared; counters stay', async (t) => {
    const element = await opened(bench)
    const sealed = await element.seal('keys/main', secret)
    const count = await element.increment('ksn')
    await tamper()
    await eventually('locked', () => element.status().state === 'locked')
    t.equal(await codeOf('unseal', element.unseal('keys/main', sealed)), 'DEVICE_PROTOCOL')
    await element.close()
    const again = await within('open again', bench.open())
    t.equal(again.status().state, 'locked')
    t.equal(await codeOf('unseal', again.unseal('keys/main', sealed)), 'DEVICE_PROTOCOL')
    await clear()
    await eventually('ready', () => again.status().state === 'ready')
    t.equal(await codeOf('unseal', again.unseal('keys/main', sealed)), 'DEVICE_PROTOCOL')
    t.same(Buffer.from(await again.unseal('a', await again.seal('a', secret))), Buffer.from(secret))
    t.equal(await again.counter('ksn'), count)
    await again.close()
  })
}
