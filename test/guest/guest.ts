// npm run test:guest: builds and boots a guest in which the kernel's own simulators play the devices, and runs in it what
// needs a kernel of its own; `-- SUITE…` runs some of it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { guestImage, guestMissing } from './image.js'
import { bootGuest, packTree } from './machine.js'

/** An emulated processor on a busy machine; idle it takes a few minutes. */
const BOUND_MS = 40 * 60_000

const missing = guestMissing()
if (missing !== undefined) {
  console.log(`No guest here: ${missing}.`)
  console.log('0 passed, 0 failed, 1 skipped')
  process.exit(0)
}
const started = Date.now()
const say = (line: string) => console.log(`[guest] ${line}`)
const folder = mkdtempSync(join(tmpdir(), 'postern-guest-'))
const image = await guestImage(say)
const tree = await packTree(folder)
say('booting')
let passed = 0
let failed = 0
let skipped = 0
let planned = false
const inTime = await bootGuest(image, tree, folder, process.argv.slice(2), BOUND_MS, (line) => {
  console.log(line)
  const assertion = /^\s*(not )?ok \d+/.exec(line)
  if (assertion !== null) {
    // A line with a time closes a subtest, whose assertions have been counted.
    if (/# SKIP/i.test(line)) skipped += 1
    else if (assertion[1] !== undefined) failed += 1
    else if (!/# time=/.test(line)) passed += 1
  }
  if (/^1\.\.\d+/.test(line)) planned = true
})
if (!inTime || !planned) {
  failed += 1
  say(inTime ? 'it powered off before its tests were done' : 'it did not end in time')
}
if (failed === 0) rmSync(folder, { recursive: true, force: true })
else say(`its console: ${join(folder, 'console')}`)
say(`${Math.round((Date.now() - started) / 1000)} s`)
console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`)
process.exitCode = failed > 0 || passed === 0 ? 1 : 0
