// What systemd's units give on a device, as far as this machine and user can give it: users, networks, limits.
import { spawnSync } from 'node:child_process'
import { chownSync, mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { packageRoot } from '../../../hal/base/package-root.js'

/** Development uids, one per world; no account is needed for a number. */
const UIDS = { secure: 61001, open: 61002 } as const
export type World = keyof typeof UIDS

export interface Isolation {
  /** A protection of the design that is missing here, in words, and how to get it. */
  readonly missing: readonly string[]
  /** The uid a world runs as; undefined = ours. */
  uid(world: World): number | undefined
  /** Wraps a command so that it runs as its world does. */
  wrap(
    world: 'secure' | 'open',
    command: string,
    args: readonly string[],
  ): { command: string; args: string[] }
  /** Makes a folder that only the world (and `readers`, as group) may enter. */
  folder(path: string, world: World, readers?: World): void
}

/** True if any other user may read the code: each folder above it has to be passable. */
function readableByOthers(path: string): boolean {
  for (let at = path; ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false
    if (at === dirname(at)) return true
  }
}

function works(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore', timeout: 5000 }).status === 0
}

/** Finds out what this machine allows for a terminal whose data lie below `dataDir`. */
export function detectIsolation(dataDir: string): Isolation {
  const missing: string[] = []
  const root = process.getuid?.() === 0
  const passable = readableByOthers(packageRoot) && readableByOthers(dirname(resolve(dataDir)))
  const ownUids =
    root && passable && works('setpriv', ['--reuid', String(UIDS.secure), '--clear-groups', 'true'])
  if (!ownUids) {
    missing.push(
      root
        ? 'the worlds share one user: this clone or its data lie in a folder that is closed to other users'
        : 'the worlds share one user: only root can give each its own',
    )
  }
  const network = root ? ['--net'] : ['--map-root-user', '--net']
  const ownNetwork = works('unshare', [...network, 'true'])
  if (!ownNetwork)
    missing.push('the secure world sees the network: this machine allows no network namespaces')

  const setpriv = (uid: number) => [
    'setpriv',
    '--reuid',
    String(uid),
    '--regid',
    String(uid),
    '--clear-groups',
    '--no-new-privs',
    '--',
  ]
  return {
    missing,
    uid: (world) => (ownUids ? UIDS[world] : undefined),
    wrap(world, command, args) {
      const line: string[] = ['prlimit', '--core=0:0']
      if (world === 'secure' && ownNetwork) line.push('unshare', ...network)
      if (ownUids) {
        // The open world reaches the bridge's folder by the secure world's group.
        const groups =
          world === 'open'
            ? [
                'setpriv',
                '--reuid',
                String(UIDS.open),
                '--regid',
                String(UIDS.open),
                '--groups',
                String(UIDS.secure),
                '--no-new-privs',
                '--',
              ]
            : setpriv(UIDS.secure)
        line.push(...groups)
      }
      return { command: line[0]!, args: [...line.slice(1), command, ...args] }
    },
    folder(path, world, readers) {
      mkdirSync(path, { recursive: true, mode: readers ? 0o750 : 0o700 })
      if (ownUids) chownSync(path, UIDS[world], UIDS[world])
    },
  }
}
