// I2C buses: turns, retries, faults by name, what is under way when it is cancelled; all over a binding that plays the kernel.
import t from 'tap'
import { systemClock } from '../../../hal/base/clock.js'
import type { I2cBinding } from '../../../hal/drivers/i2c/i2c-binding.js'
import { i2cBuses } from '../../../hal/drivers/i2c/i2c-bus.js'
import { keepDevice } from '../../../hal/drivers/kept-device.js'
import { codeOf, eventually, within } from '../conformance/support.js'

/** A bus whose transfers wait for `go` and fail as `faults` says. */
function fakeKernel({ plain = true, hold = false } = {}) {
  const log: string[] = []
  const faults: string[] = []
  const held: (() => void)[] = []
  let opens = 0
  let closes = 0
  let atOnce = 0
  let most = 0
  const run = async (what: string) => {
    most = Math.max(most, ++atOnce)
    try {
      if (hold) await new Promise<void>((go) => held.push(go))
      log.push(what)
      const fault = faults.shift()
      if (fault) throw Object.assign(new Error(`${fault}: made up`), { code: fault })
    } finally {
      atOnce--
    }
  }
  const binding: I2cBinding = {
    async open() {
      opens++
      return {
        plain: async () => plain,
        write: (address, bytes) => run(`w${address.toString(16)}:${Buffer.from(bytes).toString('hex')}`),
        writeBlock: (address, command, bytes) =>
          run(`b${address.toString(16)}:${command}:${Buffer.from(bytes).toString('hex')}`),
        async readBlock(address, command, length) {
          await run(`r${address.toString(16)}:${command}`)
          return new Uint8Array(length).fill(7)
        },
        async close() {
          closes++
        },
      }
    },
  }
  return {
    load: async () => binding,
    log,
    faults,
    held,
    opens: () => opens,
    closes: () => closes,
    most: () => most,
  }
}

t.test('devices of one bus have their turns, one transfer at a time', async (t) => {
  const kernel = fakeKernel({ hold: true })
  const buses = i2cBuses(systemClock, kernel.load)
  const display = await buses.device(1, 0x3c)
  const gauge = await buses.device(1, 0x36)
  t.equal(display.name, 'i2c-1/3C')
  const all = [1, 2, 3].map((n) => display.write(Uint8Array.of(0x40, n)))
  const read = gauge.readRegister(4, 2)
  for (let n = 1; n <= 4; n++) {
    await eventually('a transfer', () => kernel.held.length === 1)
    kernel.held.shift()!()
    await eventually('its end', () => kernel.log.length === n)
  }
  await within('all', Promise.all([...all, read]))
  t.same(kernel.log, ['w3c:4001', 'r36:4', 'w3c:4002', 'w3c:4003'], 'the gauge does not wait for the picture')
  t.equal(kernel.most(), 1)
  t.equal(kernel.opens(), 1, 'they share the file')
  await display.close()
  t.equal(kernel.closes(), 0)
  await gauge.close()
  await gauge.close()
  t.equal(kernel.closes(), 1, 'the last one closes the bus')
  t.equal(await codeOf('closed', gauge.readRegister(4, 2)), 'DEVICE_CLOSED')
})

t.test('noise is tried three times, other faults once; each has its code', async (t) => {
  const cases = [
    { faults: ['EREMOTEIO', 'ENXIO'], code: 'resolved', tries: 3 },
    { faults: ['EREMOTEIO', 'EAGAIN', 'EIO'], code: 'DEVICE_LOST', tries: 3 },
    { faults: ['ETIMEDOUT', 'ETIMEDOUT', 'ETIMEDOUT'], code: 'DEVICE_LOST', tries: 3 },
    { faults: ['EACCES'], code: 'DEVICE_LOST', tries: 1 },
    { faults: ['EBUSY'], code: 'DEVICE_BUSY', tries: 1, reopened: true },
    { faults: ['EOPNOTSUPP'], code: 'DEVICE_UNSUPPORTED', tries: 1 },
    { faults: ['ENODEV'], code: 'DEVICE_LOST', tries: 1, reopened: true },
    { faults: ['EWHATEVER'], code: 'DEVICE_LOST', tries: 1, reopened: true },
  ]
  for (const { faults, code, tries, reopened } of cases) {
    const kernel = fakeKernel()
    const device = await i2cBuses(systemClock, kernel.load).device(1, 0x3c)
    kernel.faults.push(...faults)
    t.equal(await codeOf('write', device.write(Uint8Array.of(0, 0xe3))), code, faults.join())
    t.equal(kernel.log.length, tries, `${faults.join()}: ${tries} tries`)
    await device.write(Uint8Array.of(0, 0xe3))
    t.equal(kernel.opens(), reopened ? 2 : 1, 'a file of a bus that has gone is not used again')
    await device.close()
  }
})

t.test('SMBus adapters get blocks', async (t) => {
  const kernel = fakeKernel({ plain: false })
  const device = await i2cBuses(systemClock, kernel.load).device(0, 0x3c)
  t.equal(await device.maxWrite(), 33)
  await device.write(Uint8Array.of(0x40, 1, 2))
  t.same(kernel.log, ['b3c:64:0102'])
  await device.close()
})

t.test('cancelled while it waits or while it is on the wire, the bus goes on', async (t) => {
  const kernel = fakeKernel({ hold: true })
  const buses = i2cBuses(systemClock, kernel.load)
  const [one, two] = [await buses.device(1, 0x3c), await buses.device(1, 0x36)]
  const [onWire, queued] = [new AbortController(), new AbortController()]
  const first = codeOf('on the wire', one.write(Uint8Array.of(0, 1), onWire.signal))
  await eventually('on the wire', () => kernel.held.length === 1)
  const second = codeOf('queued', two.write(Uint8Array.of(0, 2), queued.signal))
  const third = codeOf('closed', two.write(Uint8Array.of(0, 3)))
  const fourth = one.write(Uint8Array.of(0, 4))
  queued.abort()
  t.equal(await second, 'ABORTED')
  onWire.abort()
  t.equal(await first, 'ABORTED')
  await two.close()
  t.equal(await third, 'DEVICE_CLOSED')
  t.equal(kernel.held.length, 1, 'the transfer under way still has the bus')
  kernel.held.shift()!()
  await eventually('the next', () => kernel.held.length === 1)
  kernel.held.shift()!()
  await within('fourth', fourth)
  t.same(kernel.log, ['w3c:0001', 'w3c:0004'])
  t.equal(await codeOf('aborted before', one.write(Uint8Array.of(0, 1), AbortSignal.abort())), 'ABORTED')
  await one.close()
})

t.test('a transfer that never ends is given up', async (t) => {
  const kernel = fakeKernel({ hold: true })
  const device = await i2cBuses(systemClock, kernel.load).device(1, 0x3c)
  t.equal(await codeOf('stuck', device.write(Uint8Array.of(0, 1))), 'DEVICE_TIMEOUT')
  kernel.held.shift()!()
  await device.close()
})

t.test('a missing library is named; a missing bus is a device that is lost', async (t) => {
  const none = i2cBuses(systemClock, async () => {
    throw Object.assign(new Error('no library'), { code: 'X' })
  })
  await t.rejects(none.device(1, 0x3c), /no library/)
  const real = await i2cBuses(systemClock).device(9_999, 0x3c)
  await t.rejects(real.write(Uint8Array.of(0, 0xe3)), {
    code: 'DEVICE_LOST',
    message: /i2c-9999\/3C: this bus is not there/,
    details: { errno: 'ENOENT' },
  })
  await real.close()
})

t.test('a kept device is set up, lost, set up again, and says each once', async (t) => {
  const told: string[] = []
  let answers = false
  const closing = new AbortController()
  const fail = async () => {
    if (!answers) throw new Error('nothing answers')
  }
  const keeper = keepDevice(systemClock, closing.signal, {
    attach: fail,
    poll: fail,
    everyMs: 5,
    up: () => told.push('up'),
    down: (reason) => told.push(reason),
  })
  await within('settled', keeper.settled)
  t.same(told, ['nothing answers'])
  answers = true
  await eventually('up', () => told.length === 2)
  answers = false
  await eventually('down', () => told.length === 3)
  answers = true
  await eventually('up again', () => told.length === 4)
  keeper.lost('a picture did not arrive')
  await eventually('up after a report', () => told.length === 6)
  t.same(told, ['nothing answers', 'up', 'nothing answers', 'up', 'a picture did not arrive', 'up'])
  closing.abort()
})
