// Builds what the guest boots from, once: Debian's kernel, the kernel's own simulators that Debian leaves out, a small
// Debian, and the few lines that start it. Kept in a folder named by everything it was made of.
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { packageRoot } from '../../hal/base/package-root.js'
import { runCommand } from '../../scripts/check/run-command.js'

export interface GuestImage {
  readonly kernel: string
  readonly initrd: string
  /** A squashfs of a small Debian; the guest lays memory over it. */
  readonly root: string
}

/** Debian packages of the guest, each with its job. */
const PACKAGES = {
  systemd: 'starts and watches the units',
  'systemd-sysv': 'its /sbin/init',
  udev: 'makes device nodes',
  dbus: 'what systemctl speaks',
  kmod: 'loads the simulators',
  'libstdc++6': 'Node is linked with it',
  libpcsclite1: 'the card reader binding is linked with it',
  'util-linux': 'network namespaces of the development supervisor',
  iproute2: 'network namespaces of the development supervisor',
  procps: 'what runs, when something goes wrong',
  openssl: "makes the development terminal's certificates",
  'i2c-tools': 'sets the registers of simulated I2C devices',
  socat: "the printer's pty",
}
/** Modules that the first program of all loads: disks and file systems. */
const BOOT_MODULES = ['virtio_pci', 'virtio_blk', 'squashfs', 'overlay']
/** Modules of Debian's kernel that play devices, and what they need. */
const DEVICE_MODULES = ['i2c-dev', 'i2c-stub', 'uinput', 'evdev', 'vfb', 'configfs']

/** Simulators that Debian doesn't build, from its own source package. */
const SOURCES = {
  'drivers/gpio/gpio-sim.c': 'gpio-sim.c',
  'drivers/gpio/gpiolib.h': 'gpiolib.h',
  'kernel/irq/irq_sim.c': 'irq_sim.c',
  'drivers/power/supply/test_power.c': 'test_power.c',
}
const MAKEFILE = `obj-m := gpio_sim.o test_power.o
gpio_sim-y := gpio-sim.o irq_sim.o
`
/** irq_sim asks for a function that is closed to modules; this one is open to them and does the same. */
const IRQ_SIM_CHANGE = ['handle_simple_irq(irq_to_desc(irqnum))', 'generic_handle_irq_safe(irqnum)'] as const

/** The first program: root is the squashfs with memory over it, the tree under test lies in /postern. */
const INIT = `#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
for module in /modules/*; do $b insmod $module; done
$b mount -t squashfs -o ro /dev/vda /lower
$b mount -t tmpfs memory /upper
$b mkdir /upper/data /upper/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work root /root
$b mkdir -p /root/postern
$b mount -t squashfs -o ro /dev/vdb /root/postern
$b mount --move /dev /root/dev
exec $b switch_root /root /sbin/init
`
const UNIT = `[Unit]
Description=Postern's tests in the guest
After=systemd-udevd.service dbus.socket
SuccessAction=poweroff
FailureAction=poweroff

[Service]
Type=oneshot
WorkingDirectory=/postern
Environment=HOME=/root
ExecStart=/postern/bin/node /postern/dist/test/guest/inside/main.js
StandardOutput=file:/dev/ttyS1
StandardError=file:/dev/ttyS1
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
`
const HEADERS = /^linux-headers-(\d+\.\d+\.\d+-\d+-amd64)$/

/** The kernel whose headers are installed. */
function kernelVersion(): string | undefined {
  const found = existsSync('/usr/src') ? readdirSync('/usr/src') : []
  return found
    .flatMap((name) => HEADERS.exec(name)?.[1] ?? [])
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .at(-1)
}

/** Why no guest can be built here, or undefined. */
export function guestMissing(): string | undefined {
  if (process.arch !== 'x64') return 'the guest is an x86-64 machine, as this one is not'
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
  if (!/^VERSION_CODENAME=bookworm$/m.test(release)) return 'it is built from the packages of Debian 12'
  if (process.getuid?.() !== 0) return 'it is built as root, as mmdebstrap makes a system with its users'
  if (kernelVersion() === undefined) return 'linux-headers-amd64 is not installed'
  for (const file of [
    '/usr/bin/qemu-system-x86_64',
    '/usr/bin/mmdebstrap',
    '/usr/bin/mksquashfs',
    '/bin/busybox',
    '/sbin/depmod',
    '/usr/src/linux-source-6.1.tar.xz',
  ])
    if (!existsSync(file)) return `${file} is not there`
  return undefined
}

async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  const done = await runCommand(command, args, { cwd, timeoutMs: 900_000 })
  if (done.code !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.output.slice(-2000)}`)
  return done.stdout
}

/** Builds the image, or takes the one that was kept. `say` gets a line for each step. */
export async function guestImage(say: (line: string) => void): Promise<GuestImage> {
  const version = kernelVersion()!
  const recipe = [
    version,
    PACKAGES,
    BOOT_MODULES,
    DEVICE_MODULES,
    SOURCES,
    MAKEFILE,
    IRQ_SIM_CHANGE,
    INIT,
    UNIT,
  ]
  const key = createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 12)
  const kept = join(packageRoot, '.postern', 'guest')
  const folder = join(kept, key)
  const image = {
    kernel: join(folder, 'vmlinuz'),
    initrd: join(folder, 'initrd'),
    root: join(folder, 'root'),
  }
  if (existsSync(folder)) return image
  mkdirSync(kept, { recursive: true })
  const work = mkdtempSync(join(kept, 'building-'))
  try {
    const out = join(work, 'out')
    mkdirSync(out)
    say(`kernel ${version} from its Debian package`)
    await run('apt-get', ['download', '-q', `linux-image-${version}`], work)
    const deb = readdirSync(work).find((name) => name.endsWith('.deb'))!
    await run('dpkg-deb', ['-x', deb, 'kernel'], work)
    copyFileSync(join(work, 'kernel', 'boot', `vmlinuz-${version}`), join(out, 'vmlinuz'))
    say('gpio-sim and test_power, which Debian leaves out, from its source package')
    const modules = await buildModules(work, version)
    await makeInitrd(work, version, join(out, 'initrd'))
    say('a small Debian (about two minutes)')
    await makeRoot(work, version, modules, join(out, 'root'))
    renameSync(out, folder)
    for (const old of readdirSync(kept))
      if (old !== key) rmSync(join(kept, old), { recursive: true, force: true })
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return image
}

/** Compiles the simulators beside Debian's headers and puts all wanted modules into a tree of their own. */
async function buildModules(work: string, version: string): Promise<string> {
  const folder = join(work, 'simulators')
  mkdirSync(folder)
  const names = Object.keys(SOURCES).map((name) => `linux-source-6.1/${name}`)
  await run('tar', ['-xf', '/usr/src/linux-source-6.1.tar.xz', '-C', work, ...names], work)
  for (const [from, to] of Object.entries(SOURCES))
    copyFileSync(join(work, 'linux-source-6.1', from), join(folder, to))
  const irqSim = readFileSync(join(folder, 'irq_sim.c'), 'utf8')
  if (!irqSim.includes(IRQ_SIM_CHANGE[0])) throw new Error('irq_sim.c is not the one that is known')
  writeFileSync(join(folder, 'irq_sim.c'), irqSim.replace(...IRQ_SIM_CHANGE))
  writeFileSync(join(folder, 'Makefile'), MAKEFILE)
  await run('make', ['-C', `/usr/src/linux-headers-${version}`, `M=${folder}`, 'modules'], work)

  const tree = join(work, 'modules')
  const from = join(work, 'kernel', 'lib', 'modules', version)
  const to = join(tree, 'lib', 'modules', version)
  mkdirSync(join(to, 'extra'), { recursive: true })
  for (const name of readdirSync(from))
    if (name.startsWith('modules.')) copyFileSync(join(from, name), join(to, name))
  await run('depmod', ['-b', join(work, 'kernel'), version], work)
  for (const path of await moduleFiles(work, version, DEVICE_MODULES)) {
    const target = join(to, relative(from, path))
    mkdirSync(dirname(target), { recursive: true })
    copyFileSync(path, target)
  }
  for (const name of ['gpio_sim.ko', 'test_power.ko'])
    copyFileSync(join(folder, name), join(to, 'extra', name))
  await run('depmod', ['-b', tree, version], work)
  return tree
}

/** The files of `modules` and of all they need, in the order to load them. */
async function moduleFiles(
  work: string,
  version: string,
  modules: readonly string[],
): Promise<readonly string[]> {
  const kernel = join(work, 'kernel')
  const files = new Set<string>()
  for (const module of modules) {
    const lines = await run('modprobe', ['-d', kernel, '-S', version, '--show-depends', module], work)
    for (const line of lines.split('\n')) {
      const path = /^insmod (\S+)/.exec(line)?.[1]
      if (path !== undefined) files.add(path)
    }
  }
  return [...files]
}

async function makeInitrd(work: string, version: string, file: string): Promise<void> {
  const folder = join(work, 'initrd')
  for (const name of ['bin', 'dev', 'lower', 'upper', 'root', 'modules'])
    mkdirSync(join(folder, name), { recursive: true })
  copyFileSync('/bin/busybox', join(folder, 'bin', 'busybox'))
  writeFileSync(join(folder, 'init'), INIT)
  chmodSync(join(folder, 'init'), 0o755)
  const modules = await moduleFiles(work, version, BOOT_MODULES)
  for (const [at, path] of modules.entries())
    copyFileSync(path, join(folder, 'modules', `${String(at).padStart(2, '0')}-${basename(path)}`))
  await run('sh', ['-c', `find . | /bin/busybox cpio -o -H newc > "$0"`, file], folder)
}

async function makeRoot(work: string, version: string, modules: string, file: string): Promise<void> {
  writeFileSync(join(work, 'postern-guest.service'), UNIT)
  // The machine's own ways to Debian's packages: its sources, and what it set for fetching.
  const sources = [
    '/etc/apt/sources.list',
    ...filesIn('/etc/apt/sources.list.d', /\.(list|sources)$/),
  ].filter((path) => existsSync(path) && /debian/i.test(readFileSync(path, 'utf8')))
  const options = filesIn('/etc/apt/apt.conf.d', /./).filter((path) =>
    /^\s*Acquire/m.test(readFileSync(path, 'utf8')),
  )
  const archive = join(work, 'root.tar')
  await run(
    'mmdebstrap',
    [
      '--mode=root',
      '--variant=minbase',
      ...options.map((path) => `--aptopt=${path}`),
      ...['doc', 'man', 'locale', 'info'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
      `--include=${Object.keys(PACKAGES).join(',')}`,
      '--customize-hook=rm -f "$1/etc/fstab"; mkdir -p "$1/postern" "$1/lib/modules"',
      `--customize-hook=copy-in ${join(modules, 'lib', 'modules', version)} /lib/modules`,
      `--customize-hook=copy-in ${join(work, 'postern-guest.service')} /etc/systemd/system`,
      '--customize-hook=chroot "$1" systemctl enable postern-guest.service',
      'bookworm',
      archive,
      ...sources,
    ],
    work,
  )
  await run('sh', ['-c', 'mksquashfs - "$1" -tar -comp lz4 -no-progress -quiet < "$0"', archive, file], work)
}

function filesIn(folder: string, pattern: RegExp): readonly string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter((name) => pattern.test(name))
    .map((name) => join(folder, name))
}
