// What the OLED drivers put on the wire through the real i2c-bus module: captured in a process of its own, replayed as a panel.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../hal/base/clock.js'
import { packageRoot } from '../../hal/base/package-root.js'
import { i2cBuses } from '../../hal/drivers/i2c/i2c-bus.js'
import { captureEnvironment, compileCapture } from './i2c-capture.js'

t.setTimeout(300_000)
const folder = mkdtempSync(join(tmpdir(), 'i2c-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

const compiled = compileCapture(folder)
const library = await i2cBuses(systemClock)
  .device(1, 0x3c)
  .then(
    (device) => device.close().then(() => undefined),
    (error: Error) => error.message,
  )
const missing = library ?? ('missing' in compiled ? compiled.missing : undefined)

if (missing !== undefined || !('library' in compiled)) {
  t.test('captured traffic of the OLED drivers', { skip: missing ?? true }, () => Promise.resolve())
} else {
  await t.spawn(
    process.execPath,
    [join(packageRoot, 'dist', 'test', 'stack', 'oled-under-capture.js')],
    { env: { ...process.env, ...captureEnvironment(compiled.library, join(folder, 'bus')) } },
    'captured traffic of the OLED drivers',
  )
}
