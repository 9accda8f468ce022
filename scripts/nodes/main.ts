// npm run test:node -- VERSION [--arch arm64] [TEST FILES]: builds Postern for another Node in a folder of its own and tests it there.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { isPosternError } from '../../hal/base/errors.js'
import { packageRoot } from '../../hal/base/package-root.js'
import { crossBuild } from './cross-build.js'
import { fetchNode, type NodeRelease } from './node-release.js'

/** The rooms and files that make the package, as git knows them. */
function copySources(tree: string): void {
  const listed = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: packageRoot,
    encoding: 'utf8',
    maxBuffer: 16 << 20,
  })
  if (listed.status !== 0) throw new Error(`git ls-files: ${listed.stderr}`)
  // What was taken out of the sources must not be tested; packages and compiled output stay, set-up looks after them.
  for (const room of ['apps', 'hal', 'runtime', 'scripts', 'test', 'systemd', 'docs'])
    rmSync(join(tree, room), { recursive: true, force: true })
  for (const path of listed.stdout.split('\0').filter((each) => each !== '')) {
    mkdirSync(join(tree, dirname(path)), { recursive: true })
    try {
      copyFileSync(join(packageRoot, path), join(tree, path))
    } catch (error) {
      // A file that git still lists and that is deleted here.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
}

/** Sets up and tests with `release` first on the path; npm itself is this machine's, run by that Node. */
function testUnder(release: NodeRelease, tree: string, files: readonly string[]): number {
  const env = {
    ...process.env,
    PATH: [dirname(release.binary), process.env['PATH'] ?? ''].join(delimiter),
    npm_config_nodedir: release.folder,
  }
  const run = (args: readonly string[]): number =>
    spawnSync(release.binary, args, { cwd: tree, env, stdio: 'inherit' }).status ?? 1
  const status = run([join(tree, 'scripts', 'setup.mjs'), 'test'])
  return status !== 0 ? status : run([join(tree, 'dist', 'scripts', 'check', 'run-tests.js'), ...files])
}

const USAGE = `usage: npm run test:node -- VERSION [--arch x64|arm64] [TEST FILES]
  VERSION      24, 22.12 or 24.1.0: the newest release of it that npm has
  --arch       another machine's: native modules are built for it and loaded under qemu
  TEST FILES   compiled files such as dist/test/stack/pcsc.test.js; all without`

try {
  const { values, positionals } = parseArgs({ options: { arch: { type: 'string' } }, allowPositionals: true })
  const [version = '', ...files] = positionals
  const machine = values.arch ?? (process.arch === 'arm64' ? 'arm64' : 'x64')
  if (!/^\d+(\.\d+){0,2}$/.test(version) || (machine !== 'x64' && machine !== 'arm64')) {
    console.error(USAGE)
    process.exitCode = 2
  } else {
    const root = join(packageRoot, '.nodes')
    const release = fetchNode(version, machine, root)
    const tree = join(root, `${release.version}-${machine}`, 'tree')
    console.log(`Node ${release.version} for ${machine}: ${release.folder}`)
    copySources(tree)
    process.exitCode = machine === process.arch ? testUnder(release, tree, files) : crossBuild(release, tree)
    console.log(`Node ${release.version} for ${machine}: ${process.exitCode === 0 ? 'passed' : 'failed'}`)
  }
} catch (error) {
  if (!isPosternError(error) && !/Unknown option|Unexpected/.test(String(error))) throw error
  console.error((error as Error).message)
  process.exitCode = 1
}
