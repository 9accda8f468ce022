// A terminal on a disk that fills up, and on one that turns read-only: a file system of its own, which only root may mount.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  OWNER,
  request,
  settle,
  startTerminal,
  type Terminal,
  TestHost,
  testClock,
  until,
} from '../runtime/secure/payments/support.js'
import type { Random } from './seeded.js'

const MOST_PAYMENTS = 400
const mount = (...args: string[]) => spawnSync('mount', args, { encoding: 'utf8', timeout: 10_000 })

/** Runs `work` on a file system of `size`. @throws Error where the machine allows none */
async function onOwnDisk<T>(size: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-disk-'))
  try {
    if (mount('-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder).status !== 0)
      throw new Error('no file system can be mounted')
    return await work(folder)
  } finally {
    spawnSync('umount', ['-l', folder], { timeout: 10_000 })
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Why this machine mounts none; undefined where it does. */
export function mountMissing(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'postern-disk-'))
  const { status } = mount('-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder)
  if (status === 0) spawnSync('umount', ['-l', folder], { timeout: 10_000 })
  rmSync(folder, { recursive: true, force: true })
  return status === 0 ? undefined : 'only root may mount a file system of its own'
}

/** Payments in a row until one fails or `count` are done; what people were told. */
export async function payOn({ service }: Terminal, count: number, from = 0): Promise<Map<string, string>> {
  const told = new Map<string, string>()
  for (let n = from; n < from + count; n++) {
    const key = `key-${String(n).padStart(5, '0')}`
    const view = await Promise.race([service.collect(request(key), OWNER), settle(200)]).catch(
      () => undefined,
    )
    if (view === undefined) break
    told.set(key, view.outcome)
  }
  return told
}

/** What does not hold after a restart on the same files: all settled, to the cent, and nobody was told otherwise. */
export async function faultsAfterRestart(
  folder: string,
  host: TestHost,
  told: ReadonlyMap<string, string>,
): Promise<string[]> {
  const faults: string[] = []
  const clock = testClock(Date.UTC(2026, 10, 22, 20, 0))
  const terminal = startTerminal({ folder, host, clock })
  const { journal, service } = terminal
  try {
    await until(clock, () => journal.openPayments().length === 0)
    for (const [key, outcome] of told) {
      const now = service.status(key).outcome
      if (now !== outcome) faults.push(`${key} was told ${outcome}, is now ${now}`)
    }
    const again = await service.collect(request('key-again1'), OWNER)
    if (again.outcome !== 'approved') faults.push(`the next payment ends ${again.outcome}`)
    await service.closeRound()
    const standing = [...host.ledger.values()].filter(({ state }) => state === 'approved').length
    const settled = journal.list(1000).filter(({ state }) => state === 'SETTLED').length
    if (settled !== standing) faults.push(`the terminal holds ${settled} payments, the host ${standing}`)
    const verdict = journal.verify()
    if (!verdict.sound) faults.push(`the journal's chain: ${verdict.fault}`)
  } finally {
    await terminal.close()
  }
  return faults
}

/** Pays until the disk is full: the process has to end, and with room again the books must agree. */
export function fillDisk(random: Random): Promise<string[]> {
  return onOwnDisk(`${300 + random(400)}k`, async (folder) => {
    const host = new TestHost()
    const terminal = startTerminal({ folder, host })
    const told = await payOn(terminal, MOST_PAYMENTS)
    const faults: string[] = []
    if (told.size === MOST_PAYMENTS) faults.push('the disk was never full')
    if ((terminal.fatal[0] as { code?: string } | undefined)?.code !== 'JOURNAL_FAILED')
      faults.push('the process goes on without a journal')
    const after = await terminal.service.collect(request('key-after1'), OWNER).catch(() => undefined)
    if (after !== undefined) faults.push(`a payment without a journal ends ${after.outcome}`)
    terminal.journal.close()
    if (mount('-o', 'remount,size=20m', folder).status !== 0) faults.push('the disk stays full')
    return [...faults, ...(await faultsAfterRestart(folder, host, told))]
  })
}

/** A disk that turns read-only between two starts: nothing is begun, and once it is mended the books agree. */
export function turnReadOnly(random: Random): Promise<string[]> {
  return onOwnDisk('20m', async (folder) => {
    const host = new TestHost()
    const first = startTerminal({ folder, host })
    const told = await payOn(first, 1 + random(8))
    await first.close()
    const faults: string[] = []
    const sent = host.log.length
    mount('-o', 'remount,ro', folder)
    try {
      await startTerminal({ folder, host }).close()
      faults.push('the terminal starts without a journal it can write')
    } catch (error) {
      if (!/readonly|read-only|EROFS/i.test((error as Error).message)) throw error
    }
    if (host.log.length !== sent) faults.push('something was sent')
    mount('-o', 'remount,rw', folder)
    return [...faults, ...(await faultsAfterRestart(folder, host, told))]
  })
}
