// npm run coverage: runs the EMV kernel's tests under V8's coverage and names every branch of the room that none takes.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { availableParallelism, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import ts from 'typescript'
import { packageRoot } from '../../hal/base/package-root.js'
import { runCommand } from './run-command.js'

const ROOM = join('runtime', 'secure', 'emv')
const built = join(packageRoot, 'dist', ROOM)
const tests = join(packageRoot, 'dist', 'test', ROOM)

/** What V8 writes: for each function the ranges that ran so often; inner ranges overrule outer ones. */
interface V8Coverage {
  readonly result: readonly {
    readonly url: string
    readonly functions: readonly {
      readonly ranges: readonly { readonly startOffset: number; readonly endOffset: number; count: number }[]
    }[]
  }[]
}

/** How often each character of a file ran, all test processes together. */
type Counts = Float64Array

/** Runs each test file in a process of its own. Resolves with the names of those that failed. */
async function runTests(folder: string): Promise<string[]> {
  const files = readdirSync(tests).filter((file) => file.endsWith('.test.js'))
  const failed: string[] = []
  const worker = async () => {
    for (let file = files.shift(); file !== undefined; file = files.shift()) {
      const { code } = await runCommand(process.execPath, [join(tests, file)], {
        env: { NODE_V8_COVERAGE: folder, TAP_TIMEOUT: '300' },
      })
      if (code !== 0) failed.push(file)
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  return failed
}

function addCounts(counts: Counts, functions: V8Coverage['result'][number]['functions']): void {
  const one = new Float64Array(counts.length)
  const ranges = functions.flatMap((each) => each.ranges)
  ranges.sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset)
  for (const { startOffset, endOffset, count } of ranges) one.fill(count, startOffset, endOffset)
  for (let at = 0; at < one.length; at++) counts[at]! += one[at]!
}

interface Branch {
  readonly what: string
  /** Offset in the built file. */
  readonly at: number
  readonly taken: boolean
}

/** Every branch of a built file, and whether a test took it. */
function branchesOf(file: ts.SourceFile, counts: Counts): Branch[] {
  const found: Branch[] = []
  const ran = (node: ts.Node) => counts[node.getStart(file)]!
  const add = (what: string, node: ts.Node) =>
    found.push({ what, at: node.getStart(file), taken: ran(node) > 0 })
  const visit = (node: ts.Node): void => {
    if (ts.isIfStatement(node)) {
      add('if', node.thenStatement)
      if (node.elseStatement) add('else', node.elseStatement)
      // V8 has no counter for an else that isn't written: it was taken if the condition held less often than it was asked.
      else
        found.push({
          what: 'past the if',
          at: node.getStart(file),
          taken: ran(node) > ran(node.thenStatement),
        })
    } else if (ts.isConditionalExpression(node)) {
      add('?', node.whenTrue)
      add(':', node.whenFalse)
    } else if (ts.isBinaryExpression(node) && LOGICAL.has(node.operatorToken.kind)) {
      add(`right of ${node.operatorToken.getText(file)}`, node.right)
    } else if (ts.isCaseOrDefaultClause(node)) {
      if (node.statements[0]) add(ts.isDefaultClause(node) ? 'default' : 'case', node.statements[0])
    } else if (ts.isCatchClause(node)) {
      add('catch', node.block.statements[0] ?? node.block)
    } else if (ts.isParameter(node) && node.initializer) {
      add('default of a parameter', node.initializer)
    } else if (ts.isFunctionLike(node) && 'body' in node && node.body) {
      add('function', node.body)
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

const LOGICAL: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.AmpersandAmpersandToken,
  ts.SyntaxKind.BarBarToken,
  ts.SyntaxKind.QuestionQuestionToken,
  ts.SyntaxKind.QuestionQuestionEqualsToken,
])

/** `file.ts:line` of an offset in the built file. */
function sourceLine(name: string, file: ts.SourceFile, map: SourceMap, at: number): string {
  const { line, character } = file.getLineAndCharacterOfPosition(at)
  const entry = map.findEntry(line, character)
  const source = `${ROOM}/${name.replace(/\.js$/, '.ts')}`
  return 'originalLine' in entry
    ? `${source}:${entry.originalLine + 1}`
    : `${source} (built line ${line + 1})`
}

const folder = mkdtempSync(join(tmpdir(), 'emv-coverage-'))
let failed: string[]
let missing = 0
let branches = 0
try {
  failed = await runTests(folder)
  // By source: the build may still hold files whose source is gone.
  const names = readdirSync(join(packageRoot, ROOM), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.replace(/\.ts$/, '.js'))
  const coverage = readdirSync(folder).map(
    (file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as V8Coverage,
  )
  for (const name of names) {
    const path = join(built, name)
    const text = readFileSync(path, 'utf8')
    const url = pathToFileURL(path).href
    const counts = new Float64Array(text.length + 1)
    for (const { result } of coverage)
      for (const script of result) if (script.url === url) addCounts(counts, script.functions)
    const file = ts.createSourceFile(basename(path), text, ts.ScriptTarget.ES2023, true)
    const map = new SourceMap(JSON.parse(readFileSync(`${path}.map`, 'utf8')))
    for (const { what, at, taken } of branchesOf(file, counts)) {
      branches++
      if (taken) continue
      missing++
      console.log(`${sourceLine(name, file, map, at)}: ${what} never taken`)
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
for (const name of failed) console.log(`${name}: failed`)
console.log(
  `${ROOM}: ${branches - missing} of ${branches} branches taken, ${failed.length} test files failed`,
)
process.exitCode = missing > 0 || failed.length > 0 ? 1 : 0
