// Where a development terminal keeps things: data that stays, and sockets that live as long as it runs.
import { chmodSync, chownSync, lstatSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Isolation, World } from './isolation.js'

export interface Layout {
  readonly data: string
  /** The secure world's: keys, journal, documents. */
  readonly secure: string
  /** A simulated certified module's: keys, documents. */
  readonly module: string
  /** The open world's: transport identity, outbox, apps' storage. */
  readonly open: string
  /** What stands outside the terminal: acquirer, cloud, issuer, authorities. */
  readonly dev: string
  readonly logs: string
  /** Short paths, as a unix socket's name has 107 bytes at most. */
  readonly run: string
  readonly secureHardware: string
  readonly openHardware: string
  readonly bridge: string
  readonly moduleSocket: string
}

/** Makes the folders of a terminal under `data`, each closed to whom it does not concern. */
export function layOut(data: string, isolation: Isolation): Layout {
  const at = resolve(data)
  const run = mkdtempSync(join(tmpdir(), 'postern-'))
  const layout: Layout = {
    data: at,
    secure: join(at, 'secure'),
    module: join(at, 'module'),
    open: join(at, 'open'),
    dev: join(at, 'dev'),
    logs: join(at, 'logs'),
    run,
    secureHardware: join(run, 'secure', 'hardware.sock'),
    openHardware: join(run, 'open', 'hardware.sock'),
    bridge: join(run, 'bridge', 'bridge.sock'),
    moduleSocket: join(run, 'secure', 'module.sock'),
  }
  mkdirSync(at, { recursive: true })
  mkdirSync(layout.dev, { recursive: true, mode: 0o700 })
  mkdirSync(layout.logs, { recursive: true, mode: 0o700 })
  isolation.folder(layout.secure, 'secure')
  isolation.folder(layout.open, 'open')
  isolation.folder(join(run, 'secure'), 'secure')
  isolation.folder(join(run, 'open'), 'open')
  isolation.folder(join(run, 'bridge'), 'secure', 'open')
  if (isolation.uid('open') !== undefined) for (const folder of [run, at]) chmodSync(folder, 0o711)
  return layout
}

/** Gives everything below a folder to the world it belongs to. */
export function giveTo(world: World, folder: string, isolation: Isolation): void {
  const uid = isolation.uid(world)
  if (uid === undefined) return
  const visit = (path: string) => {
    chownSync(path, uid, uid)
    if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) visit(join(path, name))
  }
  visit(folder)
}
