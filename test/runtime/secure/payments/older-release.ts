// An older release of the payment room out of git's history: its sources, transpiled into a folder, played by a process of its own.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { packageRoot } from '../../../../hal/base/package-root.js'

/** Where the release's own test surroundings lie: a payment service with everything around it replaced. */
const ENTRY = 'test/runtime/secure/payments/support.ts'
const MOST_FILES = 400
const MAX_BYTES = 64 * 1024 * 1024

/** Why a release cannot be played here, or undefined where it can. */
export function missingRelease(commit: string): string | undefined {
  // Those releases bear no SQLite binding for a later Node.
  if (Number(process.versions.node.split('.')[0]) !== 20) return 'older releases run on Node 20 only'
  try {
    execFileSync('git', ['-C', packageRoot, 'cat-file', '-e', `${commit}^{commit}`], { stdio: 'ignore' })
    return undefined
  } catch {
    return `git's history does not hold ${commit.slice(0, 7)}`
  }
}

/** Transpiles what `ENTRY` reaches, as it was at `commit`, into `folder`. */
export function buildRelease(commit: string, folder: string): void {
  const archive = execFileSync(
    'git',
    ['-C', packageRoot, 'archive', commit, 'runtime', 'hal/base', ENTRY, 'package.json'],
    { maxBuffer: MAX_BYTES },
  )
  mkdirSync(folder, { recursive: true })
  execFileSync('tar', ['-x', '-C', folder], { input: archive })
  symlinkSync(join(packageRoot, 'node_modules'), join(folder, 'node_modules'))
  const known = new Set([ENTRY])
  for (const path of known) {
    if (known.size > MOST_FILES) throw new Error('the release is larger than it can be')
    const source = readFileSync(join(folder, path), 'utf8')
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2022,
        verbatimModuleSyntax: true,
      },
    })
    const out = join(folder, 'dist', path.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(out), { recursive: true })
    writeFileSync(out, outputText)
    for (const [, name] of outputText.matchAll(/from '(\.[^']+)\.js'/g)) {
      const next = join(dirname(path), `${name}.ts`)
      if (existsSync(join(folder, next))) known.add(next)
    }
  }
  writeFileSync(join(folder, 'play.mjs'), PLAY)
}

/** What a release is asked to do with a journal: leave a sale owed, or settle what is owed, sell, and leave another. */
export interface Play {
  readonly journal: string
  readonly nowMs: number
  readonly settle: boolean
  /** Key of a sale that is approved; none where absent. */
  readonly sell?: string
  /** Key of a sale whose answer is lost, and whose reversals are not answered either. */
  readonly leave: string
}

/** What its journal says then. */
export interface Played {
  readonly states: Readonly<Record<string, string>>
  readonly reversals: readonly string[]
  readonly verdict: unknown
}

/** In the old release's own words: it only knows its own `support.js`. */
const PLAY = `
import { OWNER, request, startTerminal, TestHost, testClock, until } from './dist/${ENTRY.replace(/\.ts$/, '.js')}'
const { journal: folder, nowMs, settle, sell, leave } = JSON.parse(process.argv[2])
const clock = testClock(nowMs)
const host = new TestHost()
host.reachable = settle
const terminal = startTerminal({ folder, host, clock })
const owed = () => terminal.journal.openPayments().filter(({ state }) => state.startsWith('REVERSAL'))
if (settle) await until(clock, () => owed().length === 0)
const reversals = host.log.filter((line) => line.startsWith('040'))
host.reachable = true
if (sell) await terminal.service.collect(request(sell), OWNER)
host.rules = [{ decide: 'approve', answer: 'timeout' }]
host.reversalRules = new Array(500).fill('silent')
await terminal.service.collect(request(leave), OWNER)
await terminal.close()
const { openJournal } = await import('./dist/runtime/secure/payments/journal.js')
const { join } = await import('node:path')
const journal = openJournal(join(folder, 'journal.db'), clock)
const states = Object.fromEntries(journal.list(100).map(({ key, state }) => [key, state]))
console.log(JSON.stringify({ states, reversals, verdict: journal.verify() }))
journal.close()
`

/** Plays the release that `buildRelease` made in `folder`. */
export function playRelease(folder: string, play: Play): Played {
  const said = execFileSync(process.execPath, [join(folder, 'play.mjs'), JSON.stringify(play)], {
    encoding: 'utf8',
    timeout: 120_000,
  })
  return JSON.parse(said) as Played
}
