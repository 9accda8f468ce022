// npm test: runs tap over the built tests and closes with what passed, each failure with its cause, and each skip by name.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../hal/base/package-root.js'

const results = join(packageRoot, 'dist', 'test-results')
mkdirSync(results, { recursive: true })
const file = join(results, 'all.tap')
rmSync(file, { force: true })

const tap = join(packageRoot, 'node_modules', 'tap', 'dist', 'esm', 'run.mjs')
const named = process.argv.slice(2)
const child = spawn(process.execPath, [tap, 'run', '--reporter=terse', `--output-file=${file}`, ...named], {
  cwd: packageRoot,
  stdio: 'inherit',
})
const code = await new Promise<number>((resolve) => child.on('close', (status) => resolve(status ?? 1)))

interface Summary {
  readonly passed: number
  readonly failed: number
  readonly failures: readonly string[]
  readonly skipped: readonly string[]
}

/** The names of the subtests around a line, outermost first, then its own; with tap's diagnosis below it. */
function failureAt(lines: readonly string[], at: number): string {
  const indentOf = (line: string) => line.length - line.trimStart().length
  const indent = indentOf(lines[at]!)
  const path: string[] = []
  for (let line = at, depth = indent; line >= 0 && depth > 0; line--) {
    const text = lines[line]!.trim()
    if (!text.startsWith('# Subtest: ') || indentOf(lines[line]!) > depth) continue
    path.unshift(text.slice('# Subtest: '.length))
    depth = indentOf(lines[line]!) - 1
  }
  const own = lines[at]!.trim().replace(/^not ok \d+ (?:- )?/, '')
  const diagnosis: string[] = []
  if (lines[at + 1]?.trim() === '---')
    for (const line of lines.slice(at + 2, at + 42)) {
      if (line.trim() === '...' || line.trim() === 'source: >') break
      diagnosis.push(line.slice(indent))
    }
  return [[...path, own].join(' > '), ...diagnosis].join('\n    ')
}

/** Reads the totals that tap writes at the end of its TAP, what failed, and the names of what was skipped. */
function summary(tapOutput: string): Summary {
  const total = (word: string) =>
    Number(new RegExp(`^# \\{.*\\b${word}: (\\d+)`, 'm').exec(tapOutput)?.[1] ?? 0)
  const lines = tapOutput.split('\n')
  // A line with a time closes a subtest: only its assertions say what failed, unless the file itself did.
  const isFailure = (line: string) => /^ *not ok \d+/.test(line) && !/# (TODO|SKIP)|^ .*# time=/i.test(line)
  const skipped = lines.flatMap((line) => /^ *ok \d+ (?:- )?(.*# SKIP.*)$/i.exec(line)?.[1] ?? [])
  const failures = lines.flatMap((line, at) => (isFailure(line) ? [failureAt(lines, at)] : []))
  return { passed: total('pass'), failed: total('fail'), failures, skipped }
}

const { passed, failed, failures, skipped } = existsSync(file)
  ? summary(readFileSync(file, 'utf8'))
  : { passed: 0, failed: 0, failures: [], skipped: [] }
if (skipped.length > 0) {
  console.log('\nSkipped, and why:')
  for (const skip of skipped) console.log(`  ${skip}`)
}
if (failures.length > 0) {
  console.log('\nFailed:')
  for (const failure of failures) console.log(`  ${failure}`)
}
const failedCount = code !== 0 && failed === 0 ? 1 : failed
console.log(`\n${passed} passed, ${failedCount} failed, ${skipped.length} skipped`)
process.exitCode = code !== 0 ? code : failedCount > 0 || passed === 0 ? 1 : 0
