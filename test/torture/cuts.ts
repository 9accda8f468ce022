// Boots the terminal from a disk that a power cut may have left, and compares it with what the world has seen.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { ascii, toHex } from '../../hal/base/bytes.js'
import { systemRandom } from '../../hal/base/clock.js'
import { openTerminalKeys } from '../../runtime/secure/keys/dukpt-terminal-keys.js'
import { openFileKeyStore } from '../../runtime/secure/keys/file-key-store.js'
import {
  OWNER,
  request,
  startTerminal,
  TestHost,
  testClock,
  until,
} from '../runtime/secure/payments/support.js'
import { diskAfterCut, putDisk } from './disk.js'
import { type Witnessed, witnessed } from './marks.js'
import type { DiskCall } from './recording.js'
import type { Random } from './seeded.js'

/** Cuts power before a call chosen by `random`, boots, settles, closes. What does not hold, in words; empty when all does. */
export async function cutAndBoot(
  calls: readonly DiskCall[],
  random: Random,
  folder: string,
  looksAtKeys = true,
): Promise<{ cutAt: number; faults: string[] }> {
  const cutAt = random(calls.length + 1)
  putDisk(diskAfterCut(calls, cutAt, random), folder)
  const world = witnessed(calls.slice(0, cutAt).flatMap((call) => (call.kind === 'mark' ? [call.line] : [])))
  try {
    const faults = await booksFaults(folder, world)
    // Unsealing is slow by design (scrypt).
    if (looksAtKeys) faults.push(...(await keyFaults(folder, world)))
    return { cutAt, faults }
  } catch (error) {
    return { cutAt, faults: [`does not start: ${(error as Error).message}`] }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Outcomes that no power cut may take back once they were told. */
const FOR_GOOD = ['approved', 'declined', 'voided', 'cancelled', 'reversed']

async function booksFaults(folder: string, world: Witnessed): Promise<string[]> {
  const faults: string[] = []
  const host = new TestHost()
  for (const [id, { minor, batch, state }] of world.ledger)
    host.ledger.set(id, { minor: BigInt(minor), batch, state })
  // The recorded clock began at the same time and went on for a day at most.
  const clock = testClock(Date.UTC(2026, 10, 23, 8, 30))
  const terminal = startTerminal({ folder, host, clock })
  try {
    const { service, journal } = terminal
    const verdict = journal.verify()
    if (!verdict.sound) faults.push(`the journal's chain: ${JSON.stringify(verdict)}`)
    await until(clock, () => journal.openPayments().length === 0)
    for (const [key, outcome] of world.told) {
      const now = service.status(key).outcome
      const voidedLater = outcome === 'approved' && now === 'voided'
      if (FOR_GOOD.includes(outcome) && now !== outcome && !voidedLater)
        faults.push(`${key} was told ${outcome}, is now ${now}`)
    }
    const sale = await service.collect(request('after-cut-1', '77'), OWNER)
    if (sale.outcome !== 'approved') faults.push(`a sale after the cut ends ${sale.outcome}`)
    const used = new Set([...world.ledger.keys()].map((id) => id.split(' ')[0]!))
    const stan = journal.payment('after-cut-1')?.stan
    if (stan !== undefined && used.has(String(stan))) faults.push(`trace number ${stan} is used again`)
    await service.closeRound().catch(() => undefined)
    await until(clock, () => journal.openRounds().length === 0)
    const standing = [...host.ledger.values()].filter(({ state }) => state === 'approved')
    const kept = journal.list(1000).filter(({ state }) => state === 'SETTLED')
    const sum = (minors: readonly (string | bigint)[]) =>
      minors.reduce<bigint>((total, minor) => total + BigInt(minor), 0n)
    const [ours, theirs] = [sum(kept.map(({ minor }) => minor)), sum(standing.map(({ minor }) => minor))]
    if (kept.length !== standing.length || ours !== theirs)
      faults.push(`terminal ${kept.length} of ${ours}, ledger ${standing.length} of ${theirs}`)
  } finally {
    await terminal.close()
  }
  return faults
}

async function keyFaults(folder: string, world: Witnessed): Promise<string[]> {
  if (!world.keysLoaded) return []
  const store = await openFileKeyStore({
    folder: join(folder, 'keys'),
    passphrase: ascii.encode('open sesame'),
    random: systemRandom,
  })
  try {
    const keys = await openTerminalKeys(store, systemRandom)
    const ksn = toHex(await keys.nextRequestKsn())
    keys.close()
    return world.ksns.some((used) => used >= ksn) ? [`key serial number ${ksn} is used again`] : []
  } finally {
    store.close()
  }
}
