// `npm run conformance -- DIR…`: runs other projects' vectors against the product's own code.
import { statSync } from 'node:fs'
import { inspect } from 'node:util'
import { PosternError } from '../../hal/base/errors.js'
import { runVector } from './run-vector.js'
import { readVectorFile, type VectorFile, vectorName, walk } from './vectors.js'

const USAGE = 'usage: npm run conformance -- DIR…   (folders of vector files; each is walked)'

/** One line of at most 600 characters; vectors are public, so nothing here needs masking. */
function show(value: unknown): string {
  if (value instanceof PosternError) return `${value.code}: ${value.message} ${JSON.stringify(value.details)}`
  if (value instanceof Error) return (value.stack ?? value.message).split('\n').slice(0, 3).join(' ')
  const text =
    typeof value === 'string' ? value : inspect(value, { depth: 6, breakLength: Number.POSITIVE_INFINITY })
  return text.length > 600 ? `${text.slice(0, 600)}… (${text.length} characters)` : text
}

async function main(folders: readonly string[]): Promise<number> {
  if (folders.length === 0 || folders.some((folder) => folder.startsWith('-'))) {
    console.error(USAGE)
    return 2
  }
  for (const folder of folders) {
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
      console.error(`${folder} is not a folder\n${USAGE}`)
      return 2
    }
  }
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const skips = new Map<string, number>()
  const fail = (path: string, name: string, expected: unknown, got: unknown) => {
    counts.failed++
    console.log(`FAILED ${path} ${name}\n  expected ${show(expected)}\n  got      ${show(got)}`)
  }
  for (const path of [...new Set(folders.flatMap(walk))]) {
    let file: VectorFile | undefined
    try {
      file = readVectorFile(path)
    } catch (error) {
      fail(path, '(the file)', 'JSON', error)
      continue
    }
    if (file === undefined) continue
    const own = { passed: 0, failed: 0, skipped: 0 }
    for (const [index, vector] of file.vectors.entries()) {
      const verdict = await runVector(vector, file)
      own[verdict.kind]++
      if (verdict.kind === 'failed') fail(path, vectorName(vector, index), verdict.expected, verdict.got)
      else counts[verdict.kind]++
      if (verdict.kind === 'skipped') skips.set(verdict.reason, (skips.get(verdict.reason) ?? 0) + 1)
    }
    console.log(`${path}: ${own.passed} passed, ${own.failed} failed, ${own.skipped} skipped`)
  }
  if (skips.size > 0) console.log('\nskipped:')
  for (const [reason, count] of skips) console.log(`  ${count} × ${reason}`)
  console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
  return counts.failed > 0 ? 1 : 0
}

process.exitCode = await main(process.argv.slice(2))
