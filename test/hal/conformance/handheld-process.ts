// A handheld's hardware in a process of its own, for tests that kill it: serves the secure half, answers over IPC.
import { createSimulatedHardware } from '../../../hal/simulated/hardware.js'
import { serveHardware } from '../../../hal/simulated/serve-hardware.js'

/** What the parent asks and gets. */
export interface HandheldReport {
  readonly alt: readonly string[]
  readonly pixelSum: number
}

const socketPath = process.argv[2]
if (socketPath === undefined) throw new Error('usage: handheld-process SOCKET')
const hardware = createSimulatedHardware()
await serveHardware(hardware, socketPath, 'secure')
process.on('message', (message) => {
  if (message === 'tap') void hardware.keypad.tap('5')
  else {
    const report: HandheldReport = {
      alt: hardware.display.alt(),
      pixelSum: hardware.display.frame().pixels.reduce((sum, pixel) => sum + pixel, 0),
    }
    process.send?.(report)
  }
})
process.on('disconnect', () => process.exit(0))
process.send?.('serving')
