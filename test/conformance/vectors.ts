// Vector files and verdicts: what a conformance handler is given, and what it answers.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { PosternError } from '../../hal/base/errors.js'

/** One vector as its file has it; a handler checks the shape by reading it. */
// biome-ignore lint/suspicious/noExplicitAny: foreign JSON of dozens of shapes; each handler knows its own.
export type Vector = any

/** A file of vectors, found by its path's last parts and its shape. */
export interface VectorFile {
  readonly path: string
  /** The path's last two parts without `.json`: `emv-utils/dol`, `host/dukpt-aes`. */
  readonly key: string
  /** What the file says of how to read it; empty for the bare arrays of `host/`. */
  readonly shape: string
  readonly vectors: readonly Vector[]
  /** The whole document, for what stands beside `vectors` (`configs`, `capks`, `privateKeysPem`). */
  readonly document: Vector
}

export type Verdict =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly expected: unknown; readonly got: unknown }
  /** A rule (predicate and clause) or a missing part of the product; never a case's name. */
  | { readonly kind: 'skipped'; readonly reason: string }

export type Handler = (vector: Vector, file: VectorFile) => Verdict | Promise<Verdict>

/** A row of the table of kinds: served by a handler, or one day by the part of the product that is named. */
export type Kind = {
  /** `<folder>/<file>` of an object file, or the `algo` of a vector in a bare array; a trailing `*` stands for the rest. */
  readonly kind: string
} & ({ readonly handler: Handler } | { readonly servedBy: string })

export const passed: Verdict = { kind: 'passed' }

export function skipped(reason: string): Verdict {
  return { kind: 'skipped', reason }
}

/** A vector of a kind that is served, in a variant that is not: a named skip. */
export function unknownVariant(what: string, value: unknown): Verdict {
  return skipped(`${what} ${JSON.stringify(value)}: a variant that the runner does not know`)
}

/** Passes if both are deeply equal. */
export function check(expected: unknown, got: unknown): Verdict {
  return isDeepStrictEqual(expected, got) ? passed : { kind: 'failed', expected, got }
}

/** Passes if `act` throws the house's typed error; another throw or an answer is a failure. */
export function mustRefuse(act: () => unknown, expected: unknown = 'a typed error'): Verdict {
  try {
    return { kind: 'failed', expected, got: act() }
  } catch (error) {
    return error instanceof PosternError ? passed : { kind: 'failed', expected, got: error }
  }
}

/** `expected.error` present: must be refused. Otherwise `act`'s answer must equal `expected[name]`. */
export function expectResult(
  vector: Vector,
  name: string,
  act: () => unknown,
  same: (expected: unknown, got: unknown) => Verdict = check,
): Verdict {
  if (vector.expected.error !== undefined) return mustRefuse(act, vector.expected.error)
  return same(vector.expected[name], act())
}

/** Every `.json` file below a folder, in order of path. */
export function walk(folder: string): string[] {
  const found: string[] = []
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    const path = join(folder, entry.name)
    if (entry.isSymbolicLink() ? statSync(path).isDirectory() : entry.isDirectory()) found.push(...walk(path))
    else if (entry.name.endsWith('.json')) found.push(path)
  }
  return found
}

/** Reads a vector file; undefined where the JSON holds no vectors (field tables, source lists). @throws SyntaxError */
export function readVectorFile(path: string): VectorFile | undefined {
  const document = JSON.parse(readFileSync(path, 'utf8')) as Vector
  const key = `${basename(dirname(path))}/${basename(path, '.json')}`
  if (Array.isArray(document)) return { path, key, shape: '', vectors: document, document }
  if (document === null || typeof document !== 'object' || !Array.isArray(document.vectors)) return undefined
  return { path, key, shape: String(document.shape ?? ''), vectors: document.vectors, document }
}

/** What a vector is called in the report. */
export function vectorName(vector: Vector, index: number): string {
  const name =
    vector?.name ?? vector?.testId ?? [vector?.algo, vector?.op, vector?.test].filter(Boolean).join(' ')
  return `#${index}${name ? ` ${name}` : ''}`
}
