// What our driver adds to an APDU, beside a C program that asks pcscd for the same in the same run.
import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../hal/base/clock.js'
import { silentLog } from '../../hal/base/log.js'
import { packageRoot } from '../../hal/base/package-root.js'
import { PCSC_LIBRARIES, type PcscLibrary } from '../../hal/drivers/pcsc/load-pcsc-binding.js'
import { pcscDriver } from '../../hal/drivers/pcsc/pcsc-driver.js'
import { pcscStackMissing, startPcscd, VPCD_READERS } from '../dev/pcscd.js'
import { type Bench, median, type Row } from './measure.js'

const COUNT = 500
const ROUNDS = 5

function compile(folder: string): string {
  const program = join(folder, 'bare-pcscd')
  const source = join(packageRoot, 'scripts', 'bench', 'bare-pcscd.c')
  execFileSync('cc', ['-O2', '-I/usr/include/PCSC', '-o', program, source, '-lpcsclite'])
  return program
}

/** Median of one APDU through our driver, in µs. */
async function ours(library: PcscLibrary): Promise<number> {
  const reader = await pcscDriver.open({ library }, { id: 'chip', clock: systemClock, log: silentLog })
  try {
    await reader.waitForCard(AbortSignal.timeout(10_000))
    const outcome = await reader.powerOn()
    if (outcome.kind !== 'session') throw new Error(`the card is ${outcome.kind}`)
    const taken: number[] = []
    for (let n = 0; n < COUNT; n++) {
      const command = Uint8Array.of(0x00, 0xb2, n & 0xff, 0x0c, 0x00)
      const begin = performance.now()
      const answer = await outcome.session.transmit(command)
      taken.push((performance.now() - begin) * 1000)
      if (answer.kind !== 'response') throw new Error(`the card is ${answer.kind}`)
    }
    await outcome.session.release()
    return median(taken)
  } finally {
    await reader.close()
  }
}

export const bench: Bench = {
  title: 'an APDU over pcscd',
  async run(tell) {
    const missing = pcscStackMissing()
    if (missing !== undefined) throw new Error(missing)
    const folder = mkdtempSync(join(tmpdir(), 'pcsc-bench-'))
    const stack = await startPcscd(folder)
    process.env['PCSCLITE_CSOCK_NAME'] = stack.daemonSocket
    const card = fork(join(packageRoot, 'dist', 'scripts', 'bench', 'echo-card.js'), [stack.slotSockets[0]])
    try {
      await once(card, 'message')
      const bare = compile(folder)
      const native: number[] = []
      const driven = new Map(PCSC_LIBRARIES.map((library) => [library, [] as number[]]))
      for (let round = 0; round < ROUNDS; round++) {
        for (const [library, taken] of driven) taken.push(await ours(library))
        native.push(Number(execFileSync(bare, [VPCD_READERS[0], String(COUNT)], { encoding: 'utf8' })) / 1000)
      }
      const peer = { what: 'a C program at the same pcscd', value: median(native) }
      return [...driven].flatMap(([library, taken]): Row[] => {
        // Rounds in turns: a busy moment of the machine hits both.
        const added = median(taken.map((value, round) => value - native[round]!))
        tell(`${library}: ${added.toFixed(0)} µs more than bare pcscd (goal: under 50)`)
        return [{ what: `APDU by ${library}`, value: median(taken), unit: 'µs', peer }]
      })
    } finally {
      card.disconnect()
      await stack.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  },
}
