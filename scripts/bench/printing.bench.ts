// Lines of text a second through serialport and a pty at true baud rates, against what the line itself can carry.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../hal/base/clock.js'
import { PosternError } from '../../hal/base/errors.js'
import { silentLog } from '../../hal/base/log.js'
import { escposSerialDriver } from '../../hal/drivers/escpos/escpos-driver.js'
import { EscposMachine } from '../../hal/simulated/escpos-machine.js'
import { ptyMissing } from '../dev/pty.js'
import { ptyPrinter } from '../dev/pty-printer.js'
import type { Bench, Row } from './measure.js'

/** A full line of a 58 mm printer. */
const LINE = '0123456789abcdef0123456789abcdef\n'
const SECONDS = 6

async function linesPerSecond(path: string, baudRate: number): Promise<number> {
  // A mechanism that is faster than the line, so that the line is what is measured.
  const machine = new EscposMachine({ clock: systemClock, rowsPerSecond: 1e6 })
  const pty = await ptyPrinter(machine, systemClock, { path, baudRate })
  const context = { id: 'printer', clock: systemClock, log: silentLog }
  const printer = await escposSerialDriver.open({ path, baudRate }, context)
  try {
    const lines = Math.round((SECONDS * baudRate) / 10 / LINE.length)
    const bytes = new Uint8Array(Buffer.from(LINE.repeat(lines)))
    const begin = systemClock.monotonicMs()
    const outcome = await printer.print({ id: 'bench', bytes })
    if (outcome.kind !== 'done') throw new PosternError('BENCH', `printing ended ${outcome.cause}`)
    return (lines * 1000) / (systemClock.monotonicMs() - begin)
  } finally {
    await printer.close()
    await pty.stop()
    machine.close()
  }
}

export const bench: Bench = {
  title: 'lines on paper over a serial line',
  async run(tell) {
    const missing = ptyMissing()
    if (missing !== undefined) throw new PosternError('BENCH', missing)
    const folder = mkdtempSync(join(tmpdir(), 'bench-printing-'))
    const rows: Row[] = []
    try {
      for (const baudRate of [9600, 38_400, 115_200]) {
        tell(`${baudRate} baud, ${SECONDS} s`)
        rows.push({
          what: `lines of 32 characters at ${baudRate} baud, acknowledged`,
          value: await linesPerSecond(join(folder, `lp${baudRate}`), baudRate),
          unit: '/s',
          peer: { what: 'all that the line can carry', value: baudRate / 10 / LINE.length },
        })
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
    return rows
  },
}
