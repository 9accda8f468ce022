// A printer on the bench: the driver on one end of a wire, the machine on the other.

import { systemClock } from '../../../hal/base/clock.js'
import { loadFont } from '../../../hal/base/font/font.js'
import { silentLog } from '../../../hal/base/log.js'
import type { DeviceEvent } from '../../../hal/device.js'
import { openEscposPrinter } from '../../../hal/drivers/escpos/escpos-printer.js'
import { PRINTER_PROFILES, type PrinterProfileName } from '../../../hal/drivers/escpos/profiles.js'
import type { Printer, PrinterEvent, PrinterState } from '../../../hal/printer.js'
import { EscposMachine, type EscposMachineOptions } from '../../../hal/simulated/escpos-machine.js'
import { type MachineSocket, machineSocket } from '../../../hal/simulated/escpos-machine-port.js'

export interface Bench {
  readonly machine: EscposMachine
  readonly socket: MachineSocket
  readonly printer: Printer
  readonly events: DeviceEvent<PrinterState, PrinterEvent>[]
  /** Resolves when the printer's status satisfies the predicate. */
  until(predicate: (printer: Printer) => boolean): Promise<void>
  close(): Promise<void>
}

const font = loadFont()

/** A driver and a machine on an in-process wire; fast paper unless said otherwise. */
export async function printerBench(
  options: Partial<EscposMachineOptions> & {
    readonly baudRate?: number
    readonly pollMs?: number
    readonly profile?: PrinterProfileName
  } = {},
): Promise<Bench> {
  const { baudRate = 921_600, pollMs = 100, profile = '58mm', ...rest } = options
  const machine = new EscposMachine({ clock: systemClock, glyphs: font, rowsPerSecond: 20_000, ...rest })
  const socket = machineSocket(machine, systemClock, { baudRate })
  const printer = await openEscposPrinter(
    'escpos-test',
    socket.open,
    { profile: PRINTER_PROFILES[profile], baudRate, pollMs },
    { id: 'printer', clock: systemClock, log: silentLog },
  )
  const events: DeviceEvent<PrinterState, PrinterEvent>[] = []
  printer.on((event) => events.push(event))
  const until = async (predicate: (printer: Printer) => boolean) => {
    const bound = systemClock.monotonicMs() + 10_000
    while (!predicate(printer)) {
      if (systemClock.monotonicMs() > bound)
        throw new Error(`never came: status is ${JSON.stringify(printer.status())}`)
      await systemClock.sleep(5)
    }
  }
  await until((p) => p.status().presence === 'ready')
  return {
    machine,
    socket,
    printer,
    events,
    until,
    async close() {
      await printer.close()
      machine.close()
    },
  }
}

/** ESC @, then `lines` numbered lines of text. */
export function textJob(id: string, lines: number): { id: string; bytes: Uint8Array } {
  let text = '\x1b@'
  for (let n = 1; n <= lines; n++) text += `line ${n} of ${lines}\n`
  return { id, bytes: new Uint8Array(Buffer.from(text, 'latin1')) }
}
