// Native modules for another machine: built by Debian's cross compiler against that machine's Node headers, tried under qemu.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { PosternError } from '../../hal/base/errors.js'
import type { NodeRelease } from './node-release.js'

const TRIPLET = 'aarch64-linux-gnu'
/** Debian packages by the file that shows that they are there. */
const NEEDED = {
  [`/usr/bin/${TRIPLET}-g++`]: `g++-${TRIPLET}`,
  '/usr/bin/qemu-aarch64-static': 'qemu-user-static',
  [`/usr/${TRIPLET}/lib/libc.so.6`]: 'libc6-dev-arm64-cross',
} as const

/** Loads every native module; names each with what came of it. A module that is optional may be missing. */
const PROBE = `
const packages = JSON.parse(require('node:fs').readFileSync('package.json', 'utf8'))
const native = ['better-sqlite3-napi', 'serialport', 'smartcard', '@pokusew/pcsclite', 'pkcs11js', 'i2c-bus', 'onoff']
let failed = false
for (const name of native.filter((each) => each in packages.dependencies || each in packages.optionalDependencies)) {
  try {
    const loaded = require(name)
    if (name === 'better-sqlite3-napi') new loaded(':memory:').exec('create table t (a) strict')
    console.log('  ' + name + ': loads')
  } catch (error) {
    failed ||= name in packages.dependencies
    console.log('  ' + name + ': ' + String(error.message).split('\\n')[0])
  }
}
console.log('  ' + process.arch + ', Node ' + process.versions.node)
process.exitCode = failed ? 1 : 0
`

/**
 * Installs what a device needs (no development packages) for the machine of `release`, and loads it there.
 * @returns an exit status. @throws PosternError `CROSS_MISSING` naming Debian packages
 */
export function crossBuild(release: NodeRelease, tree: string): number {
  const missing = Object.entries(NEEDED).filter(([file]) => !existsSync(file))
  if (missing.length > 0)
    throw new PosternError(
      'CROSS_MISSING',
      `apt-get install --no-install-recommends ${missing.map(([, name]) => name).join(' ')}`,
    )
  const env = {
    ...process.env,
    npm_config_nodedir: release.folder,
    npm_config_arch: release.machine,
    npm_config_cpu: release.machine,
    npm_config_target_arch: release.machine,
    CC: `${TRIPLET}-gcc`,
    CXX: `${TRIPLET}-g++`,
    LINK: `${TRIPLET}-g++`,
    AR: `${TRIPLET}-ar`,
  }
  const installed = spawnSync('npm', ['ci', '--omit=dev', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: tree,
    env,
    stdio: 'inherit',
  })
  if (installed.status !== 0) return installed.status ?? 1
  const asThere = spawnSync('qemu-aarch64-static', ['-L', `/usr/${TRIPLET}`, release.binary, '-e', PROBE], {
    cwd: tree,
    stdio: 'inherit',
  })
  return asThere.status ?? 1
}
