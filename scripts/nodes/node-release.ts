// A release of Node from npm: binary and headers of one machine, in a folder of its own.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { PosternError } from '../../hal/base/errors.js'

export type Machine = 'x64' | 'arm64'

export interface NodeRelease {
  readonly version: string
  readonly machine: Machine
  /** Holds `bin/node` and `include/node`: what `npm_config_nodedir` wants. */
  readonly folder: string
  readonly binary: string
}

/** npm's packages of Node hold `bin/node`, `include/node` and the licence, no npm. */
const packageOf = (machine: Machine) => `node-linux-${machine}`

/** Numbers of a version; what is behind a dash is no release. */
const numbers = (version: string) => version.split('.').map(Number)

/** The newest of `versions` by their numbers; undefined where there is none. */
export function newest(versions: readonly string[]): string | undefined {
  return versions
    .filter((version) => /^\d+\.\d+\.\d+$/.test(version))
    .sort((a, b) => {
      const [x, y] = [numbers(a), numbers(b)]
      return x[0]! - y[0]! || x[1]! - y[1]! || x[2]! - y[2]!
    })
    .at(-1)
}

function npm(args: readonly string[], cwd?: string): string {
  try {
    return execFileSync('npm', [...args, '--loglevel=error'], {
      encoding: 'utf8',
      maxBuffer: 16 << 20,
      ...(cwd === undefined ? {} : { cwd }),
    })
  } catch (error) {
    const reason = String((error as { stderr?: string }).stderr ?? error)
      .trim()
      .split('\n')
      .slice(-3)
      .join(' ')
    throw new PosternError('NODE_UNAVAILABLE', `npm ${args[0]} ${args[1]}: ${reason}`, {}, error)
  }
}

/**
 * Fetches the newest release of `wanted` (`24`, `22.12` or a whole version) into a folder under `root`; npm checks its digest.
 * @throws PosternError `NODE_UNAVAILABLE` where npm has none or can't be reached
 */
export function fetchNode(wanted: string, machine: Machine, root: string): NodeRelease {
  const name = packageOf(machine)
  const found = JSON.parse(npm(['view', `${name}@${wanted}`, 'version', '--json']) || '[]') as
    | string
    | string[]
  const version = newest([found].flat())
  if (version === undefined)
    throw new PosternError('NODE_UNAVAILABLE', `npm has no Node ${wanted} for ${machine} (${name})`)
  const folder = join(root, `${version}-${machine}`, 'node')
  const release = { version, machine, folder, binary: join(folder, 'bin', 'node') }
  if (existsSync(release.binary)) return release
  const fetched = `${folder}.new`
  rmSync(fetched, { recursive: true, force: true })
  mkdirSync(fetched, { recursive: true })
  npm(['pack', `${name}@${version}`, '--silent'], fetched)
  const archive = readdirSync(fetched).find((file) => file.endsWith('.tgz'))
  if (archive === undefined) throw new PosternError('NODE_UNAVAILABLE', `npm pack ${name} left no archive`)
  execFileSync('tar', ['-xzf', archive, '--strip-components=1', '--no-same-owner'], { cwd: fetched })
  rmSync(join(fetched, archive))
  if (!existsSync(join(fetched, 'include', 'node', 'node_api.h')))
    throw new PosternError('NODE_UNAVAILABLE', `${name}@${version} holds no headers`)
  renameSync(fetched, folder)
  return release
}
