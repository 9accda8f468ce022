// The one set-up behind every npm script: Debian packages, npm packages, compiled output. Plain JavaScript without
// dependencies, as it runs in a clone that has nothing yet. Under a second when there is nothing to do.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const mode = process.argv[2] ?? 'start'

/** Debian packages by what needs them, each with its job. */
const PACKAGES = {
  start: {
    'g++': 'compiles the native modules',
    make: 'compiles the native modules',
    python3: 'compiles the native modules',
    'libpcsclite-dev': 'headers for the PC/SC card reader driver',
    openssl: "makes the development terminal's certificates",
  },
  test: {
    gcc: 'compiles what answers for an I2C bus in tests',
    'libc6-dev': 'headers for it',
    pcscd: 'the card reader daemon, for tests with a virtual reader',
    'vsmartcard-vpcd': 'the virtual reader',
    mosquitto: 'an MQTT broker, for tests of the link',
    socat: 'pairs of pseudo-terminals, for tests of the printer',
    'zbar-tools': 'reads barcodes and QR codes back from printed receipts',
    chromium: 'a browser, for tests of the virtual handheld',
    strace: 'what a process writes and syncs, for power cuts over recorded disks',
    gdb: 'core dumps, for the test that looks for card data in memory',
    iproute2: 'network namespaces, for tests with private networks',
    swtpm: 'a TPM 2.0 in software, for tests of the key store',
    'tpm2-tools': 'speaks to it',
    softhsm2: 'a PKCS#11 token in software, for tests of the key store',
  },
  guest: {
    'qemu-system-x86': 'the machine that the guest runs on',
    mmdebstrap: "makes the guest's small Debian",
    'squashfs-tools': 'packs it',
    'busybox-static': "the guest's first program",
    kmod: 'finds what a kernel module needs',
    'linux-headers-amd64': "the guest's kernel, to build modules for it",
    'linux-source-6.1': "source of the kernel's simulators that Debian does not build",
  },
}
/** What a user without root cannot go on without; the rest only narrows what runs. */
const INDISPENSABLE = ['g++', 'make', 'python3', 'openssl']

const started = Date.now()
const say = (text) => process.stderr.write(`${text}\n`)
const fail = (text) => {
  say(text)
  process.exit(1)
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19)) {
    fail(
      `Postern needs Node 20.19, 22 or 24; this is ${process.versions.node}. Install a newer Node and try again.`,
    )
  }
}

/** The packages of `names` that are not installed; undefined where this is not a Debian system. */
function missingPackages(names) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own placeholders
  const format = '${Package} ${db:Status-Abbrev}\n'
  const asked = spawnSync('dpkg-query', ['-W', '-f', format, ...names], {
    encoding: 'utf8',
  })
  if (asked.error) return undefined
  const installed = new Set()
  for (const line of asked.stdout.split('\n')) if (line.includes(' ii')) installed.add(line.split(' ')[0])
  return names.filter((name) => !installed.has(name))
}

function debianPackages() {
  const wanted = { ...PACKAGES.start, ...(mode === 'start' ? {} : PACKAGES[mode]) }
  const missing = missingPackages(Object.keys(wanted))
  if (missing === undefined) {
    say(`This is not a Debian system: see to it that these are there: ${Object.keys(wanted).join(', ')}`)
    return
  }
  if (missing.length === 0) return
  say('Debian packages that are missing:')
  for (const name of missing) say(`  ${name.padEnd(18)} ${wanted[name]}`)
  const line = `apt-get install --no-install-recommends ${missing.join(' ')}`
  if (process.getuid?.() !== 0) {
    say(`Install them with:\n  sudo ${line}`)
    const needed = missing.filter(
      (name) => INDISPENSABLE.includes(name) && !(name !== 'openssl' && compiled()),
    )
    if (needed.length > 0) fail(`Then try again: ${needed.join(', ')} cannot be done without.`)
    say('Going on without them: what needs them is skipped by name.')
    return
  }
  say(`Installing them: ${line}`)
  const options = {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  }
  spawnSync('apt-get', ['update', '-q'], options)
  const done = spawnSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...missing], options)
  if (done.status === 0) return
  if (missing.some((name) => name in PACKAGES.start))
    fail(`apt-get could not install them. Mend that, or run: ${line}`)
  say('apt-get could not install them: what needs them is skipped by name.')
}

function sha(...parts) {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

const moduleStamp = join(root, 'node_modules', '.postern-setup')
/** Changes when the native modules have to be built again: other packages, Node, machine, or PC/SC headers. */
function moduleState() {
  const headers = String(existsSync('/usr/include/PCSC'))
  return sha(readFileSync(join(root, 'package-lock.json')), process.versions.modules, process.arch, headers)
}
function compiled() {
  return existsSync(moduleStamp) && readFileSync(moduleStamp, 'utf8') === moduleState()
}

/** Runs a command quietly, with a line every ten seconds; what it printed is shown when it fails. */
function runShown(what, command, args) {
  return new Promise((resolve) => {
    const begin = Date.now()
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const keep = (chunk) => {
      output = (output + chunk).slice(-20_000)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    const tick = setInterval(() => say(`  ${what}: ${Math.round((Date.now() - begin) / 1000)} s`), 10_000)
    child.on('error', (error) => keep(String(error)))
    child.on('close', (code) => {
      clearInterval(tick)
      if (code !== 0) say(output)
      resolve(code === 0)
    })
  })
}

async function npmPackages() {
  if (compiled()) return
  if (existsSync(join(root, 'node_modules')) && lstatSync(join(root, 'node_modules')).isSymbolicLink()) {
    say('node_modules is a link to another checkout: it is used as it is.')
    return
  }
  say('Installing npm packages and compiling the native ones (about three minutes, once)')
  if (!(await runShown('npm ci', 'npm', ['ci', '--no-audit', '--no-fund'])))
    fail('npm ci failed: its last words are above.')
  writeFileSync(moduleStamp, moduleState())
}

function sources(folder, found = []) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) sources(path, found)
    else if (entry.name.endsWith('.ts')) found.push(path)
  }
  return found
}

/** Compiled files whose source is gone would still be run as tests: they are swept away. */
function sweep(folder, known) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) sweep(path, known)
    else if (/\.js(\.map)?$/.test(path)) {
      const source = relative(join(root, 'dist'), path).replace(/\.js(\.map)?$/, '.ts')
      if (!known.has(join(root, source))) rmSync(path)
    }
  }
}

async function build() {
  const folders = ['hal', 'runtime', 'apps', 'scripts', 'test'].map((name) => join(root, name))
  const files = folders.flatMap((folder) => sources(folder))
  const lines = files.map(
    (path) => `${relative(root, path)} ${statSync(path).mtimeMs} ${statSync(path).size}\n`,
  )
  const state = sha(...lines, readFileSync(join(root, 'tsconfig.json')))
  const stamp = join(root, 'dist', '.postern-build')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === state) return
  say('Compiling')
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  if (!(await runShown('tsc', process.execPath, [tsc, '-p', root])))
    fail('The TypeScript compiler found faults: they are above.')
  sweep(join(root, 'dist'), new Set(files))
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, state)
}

checkNode()
debianPackages()
await npmPackages()
await build()
if (Date.now() - started > 5000) say(`Set up in ${Math.round((Date.now() - started) / 1000)} s.`)
