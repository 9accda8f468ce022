// npm run fuzz -- [--blind] NAME COUNT SEED [HEX]: drives one parser with seeded inputs, guided by the blocks that they reach, and says how to
// repeat what it found.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { fromHex, toHex } from '../../hal/base/bytes.js'
import { packageRoot } from '../../hal/base/package-root.js'
import { startBlockCoverage } from './block-coverage.js'
import { FuzzDefect, type FuzzTarget, fuzz, keptSeeds } from './fuzz-engine.js'
import { startWatchdog } from './fuzz-watchdog.js'

const folder = join(packageRoot, 'dist', 'test', 'fuzz')
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.js'))
  .map((file) => file.slice(0, -3))
const given = process.argv.slice(2)
/** Without coverage some ten times as many inputs a second; what the target says of each is then all the guidance. */
const blind = given.includes('--blind')
const [name = '', countText = '100000', seedText = '1', hex] = given.filter((word) => word !== '--blind')
const count = Number(countText)
const seed = Number(seedText)
if (!names.includes(name) || !Number.isSafeInteger(count) || !Number.isSafeInteger(seed) || count < 1) {
  console.error(
    `usage: npm run fuzz -- [--blind] NAME [COUNT] [SEED] [HEX]\n  HEX: this one input, - for an empty one\n  --blind: without coverage, for long runs\n  NAME is one of: ${names.join(', ')}`,
  )
  process.exit(2)
}
const { target } = (await import(pathToFileURL(join(folder, `${name}.js`)).href)) as { target: FuzzTarget }
if (hex !== undefined) {
  console.log((await target.run(fromHex(hex === '-' ? '' : hex), seed)) ?? 'no defect')
  process.exit(0)
}
const begin = performance.now()
const seconds = () => ((performance.now() - begin) / 1000).toFixed(1)
const coverage = blind ? undefined : await startBlockCoverage()
const watchdog = startWatchdog()
try {
  const last = await fuzz(target, {
    count,
    seed,
    seeds: keptSeeds(name),
    coverage,
    watch: watchdog.watch,
    progress: ({ inputs, corpus, reached, heapMb }) =>
      console.log(
        `${inputs} inputs, corpus ${corpus}, ${reached} reached, heap ${heapMb} MB, ${seconds()} s`,
      ),
  })
  console.log(`${target.name}: ${last.inputs} inputs from seed ${seed}, no defect, ${seconds()} s`)
} catch (error) {
  if (!(error instanceof FuzzDefect)) throw error
  console.error(`${target.name}: a defect. Repeat it with:`)
  console.error(`  npm run fuzz -- ${name} 1 ${error.seed} ${toHex(error.bytes) || '-'}`)
  console.error(error.cause)
  process.exitCode = 1
} finally {
  coverage?.stop()
  await watchdog.stop()
}
