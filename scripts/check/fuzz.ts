// npm run fuzz -- NAME COUNT SEED: throws seeded random bytes at one parser, and says how to repeat what it found.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageRoot } from '../../hal/base/package-root.js'

/** A fuzz target: `run` throws only where there is a defect; typed refusals are its normal work. */
interface FuzzTarget {
  readonly name: string
  run(bytes: Uint8Array, seed: number): void | Promise<void>
}

/** A small seeded generator (mulberry32): the same bytes for the same seed on every machine. */
function seededBytes(seed: number): Uint8Array {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const bytes = new Uint8Array(next() % (next() % 8 === 0 ? 4096 : 128))
  for (let i = 0; i < bytes.length; i++) bytes[i] = next()
  return bytes
}

const folder = join(packageRoot, 'dist', 'test', 'fuzz')
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.js'))
  .map((file) => file.slice(0, -3))
const [name = '', countText = '100000', seedText = '1'] = process.argv.slice(2)
const count = Number(countText)
const first = Number(seedText)
if (!names.includes(name) || !Number.isSafeInteger(count) || !Number.isSafeInteger(first) || count < 1) {
  console.error(`usage: npm run fuzz -- NAME [COUNT] [SEED]\n  NAME is one of: ${names.join(', ')}`)
  process.exit(2)
}
const { target } = (await import(pathToFileURL(join(folder, `${name}.js`)).href)) as { target: FuzzTarget }
const begin = performance.now()
for (let seed = first; seed < first + count; seed++) {
  try {
    await target.run(seededBytes(seed), seed)
  } catch (error) {
    console.error(
      `${target.name}: seed ${seed} found a defect. Repeat it with: npm run fuzz -- ${name} 1 ${seed}`,
    )
    console.error(error)
    process.exit(1)
  }
  if (seed % 100_000 === 0)
    console.log(`${seed - first} inputs, ${Math.round(process.memoryUsage().rss / 1e6)} MB`)
}
console.log(
  `${target.name}: ${count} inputs from seed ${first}, no defect, ${((performance.now() - begin) / 1000).toFixed(1)} s`,
)
