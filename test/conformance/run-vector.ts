// One vector, one verdict: finds the row of the table of kinds that serves it and runs its handler.
import { KINDS } from './kinds.js'
import { type Kind, skipped, type Vector, type VectorFile, type Verdict } from './vectors.js'

/** The kind a vector is of: its own `algo`, or for files of one shape their folder and name, whatever lies above. */
export function kindName(vector: Vector, file: VectorFile): string {
  if (file.shape === '' && typeof vector?.algo === 'string') return vector.algo
  return file.key
}

const fits = (kind: string, name: string): boolean =>
  kind.endsWith('*') ? name.startsWith(kind.slice(0, -1)) : kind === name

/**
 * The row that serves a kind. Files of another folder, or numbered parts of one set (`dol-2.json`), are known by their
 * name alone: whatever folder it came from, a name stands for one shape.
 */
function findKind(name: string): Kind | undefined {
  const exact = KINDS.find(({ kind }) => fits(kind, name))
  if (exact !== undefined || !name.includes('/')) return exact
  const last = name.slice(name.lastIndexOf('/') + 1).replace(/[-_.]?\d+$/, '')
  return KINDS.find(({ kind }) => kind.includes('/') && kind.slice(kind.lastIndexOf('/') + 1) === last)
}

/** The handler's verdict; a throw is a failure, a kind without a handler a named skip. */
export async function runVector(vector: Vector, file: VectorFile): Promise<Verdict> {
  const name = kindName(vector, file)
  const kind = findKind(name)
  if (kind === undefined) return skipped(`${name}: a kind that the runner does not know`)
  if ('servedBy' in kind) return skipped(`${name}: will be served by ${kind.servedBy}`)
  try {
    const verdict = await kind.handler(vector, file)
    return verdict.kind === 'skipped' ? skipped(`${name}: ${verdict.reason}`) : verdict
  } catch (error) {
    return { kind: 'failed', expected: vector?.expected ?? vector?.expect, got: error }
  }
}
