// `postern protections`: the secure world's self-test read from outside, on the device: what is missing and how to get it.
import { readdirSync, readFileSync } from 'node:fs'
import { Command } from 'commander'
import { PosternError } from '../../hal/base/errors.js'
import { missingProtections, readKernelFile } from '../../runtime/secure/protections.js'
import { secureConfigFrom } from '../../runtime/secure/secure-config.js'

const BOOT = /runtime\/secure\/boot\.js$/

/** The process that runs the secure world, and the configuration that it was started with. */
interface SecureProcess {
  readonly pid: number
  readonly config: string
}

function secureProcesses(): SecureProcess[] {
  const found: SecureProcess[] = []
  for (const name of readdirSync('/proc').filter((entry) => /^[0-9]+$/.test(entry))) {
    const words = (readKernelFile(`/proc/${name}/cmdline`) ?? '').split('\0')
    const at = words.findIndex((word) => BOOT.test(word))
    // A wrapper that starts it names it too; the process itself is the one that node runs.
    if (at === 1 && words[at + 1]) found.push({ pid: Number(name), config: words[at + 1]! })
  }
  return found
}

function secureProcess(pid: number | undefined): SecureProcess {
  const all = secureProcesses()
  const found = pid === undefined ? all : all.filter((one) => one.pid === pid)
  if (found.length > 1)
    throw new PosternError(
      'USAGE',
      `several secure worlds run here (${found.map((one) => one.pid).join(', ')}): name one with --pid`,
    )
  if (found[0] !== undefined) return found[0]
  throw new PosternError(
    'SECURE_WORLD_AWAY',
    pid === undefined
      ? 'no secure world runs here, or this user may not see it: start postern-secure.service, or run this as root'
      : `process ${pid} is no secure world, or this user may not see it`,
  )
}

export function protectionsCommand(
  program: Command,
  wholeNumber: (from: number, to: number) => (text: string) => number,
): Command {
  return new Command('protections')
    .description(
      'what should keep keys out of core dumps, swap and sight, and is missing; exit 1 where anything is',
    )
    .option('--pid <number>', 'of the secure world, where several run', wholeNumber(1, 2 ** 22))
    .action(({ pid }: { pid?: number }) => {
      const secure = secureProcess(pid)
      const { keyStore = 'file' } = secureConfigFrom(JSON.parse(readFileSync(secure.config, 'utf8')))
      const missing = missingProtections(keyStore, (path) =>
        readKernelFile(path.replace(/^\/proc\/self\//, `/proc/${secure.pid}/`)),
      )
      if ((program.opts() as { json?: boolean }).json === true)
        console.log(JSON.stringify({ pid: secure.pid, missing }))
      else if (missing.length === 0) console.log(`Process ${secure.pid}: all protections are in place.`)
      else {
        console.log(`Process ${secure.pid} lacks:`)
        for (const { name, message } of missing) console.log(`  ${name.padEnd(14)} ${message}`)
      }
      process.exitCode = missing.length === 0 ? 0 : 1
    })
}
