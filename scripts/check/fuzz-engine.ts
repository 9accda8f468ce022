// Fuzzing: seeded inputs, a corpus that grows with what they reach, bounds on steps and heap.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { fromHex } from '../../hal/base/bytes.js'
import { packageRoot } from '../../hal/base/package-root.js'
import type { BlockCoverage } from './block-coverage.js'
import { diceOf, freshBytes, mutate } from './fuzz-mutation.js'

/**
 * What is fuzzed. `run` throws only where there is a defect: typed refusals are its normal work. It may give back a word
 * for how it went, out of a limited set: a new word counts as something reached.
 */
export interface FuzzTarget {
  readonly name: string
  run(bytes: Uint8Array, seed: number): unknown
}

export interface FuzzOptions {
  readonly count: number
  readonly seed: number
  /** Inputs to begin with; they are all run. */
  readonly seeds: readonly FuzzSeed[]
  /** Without it the words that `run` gives are all the guidance. */
  readonly coverage?: BlockCoverage | undefined
  /** Told ten times: after each tenth of the inputs. */
  readonly progress?: (window: FuzzWindow) => void
  /** Told each input that is about to be run, for who must name one that never ends. */
  readonly watch?: (bytes: Uint8Array, seed: number) => void
}

/** A kept input: the seed number goes to `run` with it. */
export interface FuzzSeed {
  readonly bytes: Uint8Array
  readonly seed: number
}

export interface FuzzWindow {
  readonly inputs: number
  readonly corpus: number
  /** Blocks and words reached. */
  readonly reached: number
  readonly heapMb: number
}

/** A defect, and the input that showed it. */
export class FuzzDefect extends Error {
  readonly bytes: Uint8Array
  readonly seed: number
  constructor(bytes: Uint8Array, seed: number, cause: unknown) {
    super('fuzzing found a defect', { cause })
    this.bytes = bytes
    this.seed = seed
  }
}

const MAX_CORPUS = 4000
/** Inputs between two questions for coverage: one question costs as much as some hundred parses. */
const BATCH = 256
/** How often one block may run for one input: far above what 4096 bytes or 600 commands need. */
const MAX_STEPS = 2_000_000
/** What the heap may grow from the second window to the last, beside the corpus. */
const MAX_GROWTH_MB = 16
const WINDOWS = 10
/** Inputs in one turn of the event loop. */
const TURN = 64

/** Runs `count` inputs. @throws FuzzDefect */
export async function fuzz(target: FuzzTarget, options: FuzzOptions): Promise<FuzzWindow> {
  const dice = diceOf(options.seed)
  const corpus: FuzzSeed[] = []
  const reached = new Set<string>()
  const run = async (input: FuzzSeed): Promise<void> => {
    options.watch?.(input.bytes, input.seed)
    let word: unknown
    try {
      word = await target.run(input.bytes, input.seed)
    } catch (error) {
      throw new FuzzDefect(input.bytes, input.seed, error)
    }
    if (typeof word === 'string' && !reached.has(word)) {
      reached.add(word)
      keep(input)
    }
  }
  const keep = (input: FuzzSeed) => {
    if (corpus.length < MAX_CORPUS) corpus.push(input)
    else corpus[dice() % MAX_CORPUS] = input
  }
  const isNew = (blocks: readonly string[]) => blocks.some((block) => !reached.has(block))
  /** Where a batch reached something new, each of its inputs is run by itself to find which one did. */
  const learn = async (batch: readonly FuzzSeed[], coverage: BlockCoverage) => {
    const { blocks, most } = await coverage.take()
    if (!isNew(blocks) && most <= MAX_STEPS) return
    const unseen = new Set(blocks.filter((block) => !reached.has(block)))
    for (const input of batch) {
      if (unseen.size === 0 && most <= MAX_STEPS) break
      await run(input)
      const alone = await coverage.take()
      if (alone.most > MAX_STEPS)
        throw new FuzzDefect(input.bytes, input.seed, new Error(`a block ran ${alone.most} times`))
      for (const block of alone.blocks) unseen.delete(block)
      if (!isNew(alone.blocks)) continue
      for (const block of alone.blocks) reached.add(block)
      keep(input)
    }
    // What only the batch as a whole reached (a cache, a first call) is not asked about again.
    for (const block of blocks) reached.add(block)
  }

  let batch: FuzzSeed[] = []
  let second = 0
  let window: FuzzWindow = { inputs: 0, corpus: 0, reached: 0, heapMb: 0 }
  const total = options.seeds.length + options.count
  for (let n = 0; n < total; n++) {
    const input = options.seeds[n] ?? {
      bytes:
        corpus.length === 0 || dice() % 8 === 0
          ? freshBytes(dice)
          : mutate(dice, corpus[dice() % corpus.length]!.bytes, corpus[dice() % corpus.length]!.bytes),
      seed: options.seed + n - options.seeds.length,
    }
    await run(input)
    // Signals and registries are cleared out between turns of the event loop only.
    if (n % TURN === 0) await nextTurn()
    if (options.coverage) {
      batch.push(input)
      if (batch.length === BATCH || n === total - 1) {
        await learn(batch, options.coverage)
        batch = []
      }
    }
    const windows = Math.floor(((n + 1) * WINDOWS) / total)
    if (windows === Math.floor((n * WINDOWS) / total)) continue
    await nextTurn()
    window = { inputs: n + 1, corpus: corpus.length, reached: reached.size, heapMb: heapMb() }
    options.progress?.(window)
    if (windows === 2) second = window.heapMb
  }
  const corpusMb = corpus.reduce((sum, { bytes }) => sum + bytes.length + 200, 0) / 1e6
  if (window.heapMb > second + corpusMb + MAX_GROWTH_MB)
    throw new FuzzDefect(
      new Uint8Array(),
      options.seed,
      new Error(`heap ${second} MB, then ${window.heapMb} MB`),
    )
  return window
}

/** Heap in use once the garbage is out. */
function heapMb(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return Math.round(process.memoryUsage().heapUsed / 1e5) / 10
}

/** Kept inputs of a target: `test/fuzz/seeds/NAME.txt`, a line each: hex, a seed number, and what it once found. */
export function keptSeeds(name: string): FuzzSeed[] {
  let text: string
  try {
    text = readFileSync(join(packageRoot, 'test', 'fuzz', 'seeds', `${name}.txt`), 'utf8')
  } catch {
    return []
  }
  return text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .map((line) => {
      const [hex = '', seed = '0'] = line.split(/\s+/)
      return { bytes: fromHex(hex === '-' ? '' : hex), seed: Number(seed) }
    })
}
