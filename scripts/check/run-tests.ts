// npm test: runs tap over the built tests and closes with what passed, what failed, and each skip by name.
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

/** Reads the totals that tap writes at the end of its TAP, and the names of what was skipped. */
function summary(tapOutput: string): { passed: number; failed: number; skipped: string[] } {
  const total = (word: string) =>
    Number(new RegExp(`^# \\{.*\\b${word}: (\\d+)`, 'm').exec(tapOutput)?.[1] ?? 0)
  const skipped = [...tapOutput.matchAll(/^ *ok \d+ (?:- )?(.*# SKIP.*)$/gim)].map((match) => match[1]!)
  return { passed: total('pass'), failed: total('fail'), skipped }
}

const { passed, failed, skipped } = existsSync(file)
  ? summary(readFileSync(file, 'utf8'))
  : { passed: 0, failed: 0, skipped: [] }
if (skipped.length > 0) {
  console.log('\nSkipped, and why:')
  for (const skip of skipped) console.log(`  ${skip}`)
}
const failures = code !== 0 && failed === 0 ? 1 : failed
console.log(`\n${passed} passed, ${failures} failed, ${skipped.length} skipped`)
process.exitCode = code !== 0 ? code : failures > 0 || passed === 0 ? 1 : 0
