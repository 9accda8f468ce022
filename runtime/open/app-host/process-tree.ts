// A process and its descendants, by /proc (proc(5)): who they are, and whether every thread of theirs stands still.
import { readdirSync, readFileSync } from 'node:fs'

interface Stat {
  readonly pid: number
  readonly parent: number
  /** R, S, D, T (stopped), t (traced), Z (zombie), X (dead)… */
  readonly state: string
}

function statOf(path: string): Stat | undefined {
  try {
    const text = readFileSync(path, 'latin1')
    // The name in brackets may hold anything, brackets and spaces too.
    const [state = '', parent = ''] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { pid: Number.parseInt(text, 10), parent: Number(parent), state }
  } catch {
    return undefined
  }
}

function numbersIn(folder: string): number[] {
  try {
    return readdirSync(folder).map(Number).filter(Number.isInteger)
  } catch {
    return []
  }
}

/** The pid and every living descendant of it. Empty where it is gone. */
export function processTree(root: number): number[] {
  const stats = numbersIn('/proc')
    .map((pid) => statOf(`/proc/${pid}/stat`))
    .filter((stat) => stat !== undefined && stat.state !== 'Z' && stat.state !== 'X') as Stat[]
  const found = stats.filter((stat) => stat.pid === root).map((stat) => stat.pid)
  for (let i = 0; i < found.length; i++) {
    for (const stat of stats) {
      if (stat.parent === found[i] && !found.includes(stat.pid)) found.push(stat.pid)
    }
  }
  return found
}

/** True where every thread of the process is stopped, or the process is gone. */
export function standsStill(pid: number): boolean {
  return numbersIn(`/proc/${pid}/task`).every((thread) => {
    const state = statOf(`/proc/${pid}/task/${thread}/stat`)?.state
    return state === undefined || state === 'T' || state === 't' || state === 'Z' || state === 'X'
  })
}

/** Signals every process of the tree; those that are gone are passed over. */
export function signalTree(root: number, signal: NodeJS.Signals): void {
  for (const pid of processTree(root)) {
    try {
      process.kill(pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}
