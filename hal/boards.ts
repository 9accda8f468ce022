// The board profiles that come with Postern, and others by their path.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isPosternError, PosternError } from './base/errors.js'
import { packageRoot } from './base/package-root.js'
import { type BoardProblem, type BoardProfile, type Driver, type ParseOptions, parseBoard } from './board.js'

const FOLDER = join(packageRoot, 'hal', 'boards')
const MAX_BYTES = 256 * 1024

/** Names of the profiles in `hal/boards`, sorted. */
export function boardNames(): readonly string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .sort()
}

/**
 * Reads a profile's JSON by name (`virtual-handheld`) or by path (anything with a slash or ending in `.json`), at most
 * 256 KiB. What is in it is for `parseBoard` to judge.
 * @throws PosternError `BOARD_UNREADABLE` naming what there is
 */
export function readBoard(nameOrPath: string): unknown {
  const isPath = nameOrPath.includes('/') || nameOrPath.endsWith('.json')
  if (!isPath && !boardNames().includes(nameOrPath)) {
    throw new PosternError(
      'BOARD_UNREADABLE',
      `no board "${nameOrPath.slice(0, 64)}"; there are ${boardNames().join(', ')}, or give a path`,
    )
  }
  const path = isPath ? nameOrPath : join(FOLDER, `${nameOrPath}.json`)
  try {
    if (statSync(path).size > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes`)
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new PosternError('BOARD_UNREADABLE', `board ${path}: ${reason}`, { path }, error)
  }
}

/** Reads and checks a profile. One that can't be read is an empty one with a problem: whoever starts says so. */
export function loadBoard(
  nameOrPath: string,
  registry: readonly Driver[],
  options: ParseOptions = {},
): { readonly profile: BoardProfile; readonly problems: readonly BoardProblem[] } {
  try {
    return parseBoard(readBoard(nameOrPath), registry, options)
  } catch (error) {
    if (!isPosternError(error, 'BOARD_UNREADABLE')) throw error
    const problem = {
      key: '',
      value: JSON.stringify(nameOrPath.slice(0, 200)),
      allowed: `can't be used: ${error.message}`,
    }
    return { profile: { name: 'unnamed', devices: [], certifiedModule: undefined }, problems: [problem] }
  }
}
