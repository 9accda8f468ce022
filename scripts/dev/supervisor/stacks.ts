// The real stacks that a board's drivers need in development: pcscd with a virtual reader, a pty for the printer.
import { join } from 'node:path'
import { PosternError } from '../../../hal/base/errors.js'
import { readBoard } from '../../../hal/boards.js'
import type { RealStacks } from '../handheld/real-stacks.js'
import { pcscStackMissing, startPcscd } from '../pcscd.js'
import { ptyMissing } from '../pty.js'
import type { Isolation } from './isolation.js'
import type { Layout } from './layout.js'

export interface Stacks {
  /** For the virtual handheld: where its slot and its printer come out. */
  readonly handheld: RealStacks
  /** For the secure world: where libpcsclite finds the daemon. */
  readonly secureEnv: Readonly<Record<string, string>>
  /** For the open world's board: the printer's device file. */
  readonly printerPort: string | undefined
  /** Pulls or plugs the reader: the daemon goes, or comes back. */
  setReader(plugged: boolean): Promise<void>
  stop(): Promise<void>
}

function driversOf(board: string): readonly string[] {
  const profile = readBoard(board) as {
    devices: Record<string, { driver: string }>
  }
  return Object.values(profile.devices).map(({ driver }) => driver)
}

/** Starts what the board needs; nothing where all its drivers are simulated. @throws PosternError `STACK_MISSING` */
export async function startStacks(board: string, layout: Layout, isolation: Isolation): Promise<Stacks> {
  const drivers = driversOf(board)
  const needs = (driver: string, missing: () => string | undefined): boolean => {
    if (!drivers.includes(driver)) return false
    const why = missing()
    if (why !== undefined) throw new PosternError('STACK_MISSING', `board ${board} needs ${driver}: ${why}`)
    return true
  }
  const printer = needs('escpos-serial', ptyMissing)
  // In folders that only the world may enter: neither reaches the other's stack.
  const printerPort = printer ? join(layout.run, 'open', 'printer') : undefined
  const pcscd = needs('pcsc', pcscStackMissing)
    ? await startPcscd(join(layout.run, 'secure', 'pcscd'))
    : undefined
  const uid = isolation.uid('open')
  return {
    handheld: {
      ...(pcscd === undefined ? {} : { slotSocket: pcscd.slotSockets[0] }),
      ...(printerPort === undefined ? {} : { printerPath: printerPort }),
      ...(printerPort === undefined || uid === undefined ? {} : { printerUid: uid }),
    },
    secureEnv: pcscd === undefined ? {} : { PCSCLITE_CSOCK_NAME: pcscd.daemonSocket },
    printerPort,
    async setReader(plugged) {
      await (plugged ? pcscd?.startDaemon() : pcscd?.stopDaemon())
    },
    async stop() {
      await pcscd?.stop()
    },
  }
}
