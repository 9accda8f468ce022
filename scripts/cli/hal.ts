// `postern hal`: what is bound, what is there, and whether each device works, for the technician at the bench.
import { createPublicKey } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname, release } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { systemClock, systemRandom } from '../../hal/base/clock.js'
import { PosternError } from '../../hal/base/errors.js'
import { selfTest } from '../../hal/self-test.js'
import { openKeyStore } from '../../runtime/secure/open-key-store.js'
import { consoleDesk } from '../hal/desk.js'
import { needsOf } from '../hal/needs.js'
import { type BoardChoice, type OpenedBoard, openChosenBoard } from '../hal/open-board.js'
import { printReport } from '../hal/paper.js'
import { probeI2c, probeKernel, probeReaders } from '../hal/probe.js'
import {
  developmentKey,
  deviceKey,
  type HardwareReport,
  type ReportedDevice,
  reportLines,
  signReport,
  verifyReport,
  worst,
} from '../hal/report.js'
import { suggestProfile } from '../hal/suggest.js'

interface Options {
  readonly config?: string
  readonly board?: string
  readonly param: Readonly<Record<string, string>>
}
interface TestOptions extends Options {
  readonly yes?: boolean
  readonly timeout: number
  readonly out: string
  readonly paper: boolean
}

function parameter(text: string, before: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const [, name, value] = /^(\w+)=(.*)$/.exec(text) ?? []
  if (name === undefined || value === undefined) throw new InvalidArgumentError('name=value')
  return { ...before, [name]: value }
}

const choose = (program: Command, options: Options): BoardChoice => ({
  ...options,
  dataDir: (program.opts() as { dataDir: string }).dataDir,
})

async function listBoard(choice: BoardChoice, json: boolean): Promise<void> {
  const opened = await openChosenBoard(choice, [])
  const { board, profile, problems } = opened
  const rows = profile.devices.map((row) => {
    const device = board.devices.find(({ id }) => id === row.id)
    return {
      id: row.id,
      class: row.deviceClass,
      driver: row.driver,
      status: device?.status() ?? { presence: 'failed', state: 'unknown' },
      statistics: device?.statistics() ?? {},
      needs: needsOf(row),
    }
  })
  await board.close()
  if (json) return console.log(JSON.stringify({ board: profile.name, devices: rows, problems }))
  console.log(`${profile.name}\n`)
  for (const { id, class: deviceClass, driver, status, statistics, needs } of rows) {
    const why = 'detail' in status && status.detail !== undefined ? ` (${status.detail})` : ''
    console.log(`${id}: ${deviceClass}, ${driver}: ${status.presence}, ${status.state}${why}`)
    const counted = Object.entries(statistics).filter(([, value]) => value > 0)
    if (counted.length > 0) console.log(`  ${counted.map(([name, value]) => `${name} ${value}`).join(', ')}`)
    if (needs !== '') console.log(`  needs ${needs}`)
  }
  for (const problem of problems) console.log(`! ${problem}`)
}

async function probe(json: boolean): Promise<void> {
  const readers = await probeReaders()
  const found = [...readers.found, ...probeKernel(), ...(await probeI2c())]
  const suggestion = suggestProfile(found)
  if (json) return console.log(JSON.stringify({ found, missing: readers.missing, ...suggestion }))
  for (const { kind, at, name } of found) console.log(`${kind.padEnd(12)} ${at.padEnd(24)} ${name}`)
  if (found.length === 0) console.log('Nothing that a driver knows.')
  if (readers.missing !== undefined) console.log(`reader       none: ${readers.missing}`)
  console.log(
    `\nA profile to begin with (hal/boards/README.md):\n${JSON.stringify(suggestion.profile, null, 2)}`,
  )
  for (const question of suggestion.questions) console.log(`? ${question}`)
}

/** Ends at Ctrl+C; a second one ends the process as usual. */
function cancelledBySigint(): AbortSignal {
  const cancel = new AbortController()
  process.once('SIGINT', () => cancel.abort(new PosternError('ABORTED', 'cancelled')))
  return cancel.signal
}

async function testDevices(
  { board, profile, problems }: OpenedBoard,
  { yes = false, timeout }: TestOptions,
  tell: (line: string) => void,
): Promise<Omit<HardwareReport, 'signer'>> {
  const desk = consoleDesk({ yes, tell })
  const cancelled = cancelledBySigint()
  const devices: ReportedDevice[] = []
  const host = {
    name: hostname(),
    machine: process.arch,
    kernel: release(),
    node: process.versions.node,
  }
  const at = new Date(systemClock.nowMs()).toISOString()
  const page = [
    'POSTERN SELF-TEST',
    profile.name,
    at,
    '',
    '0123456789 ABCDEFGHIJKLMNOPQRSTUVWXYZ',
    '#'.repeat(96),
  ]
  try {
    for (const row of profile.devices) {
      const device = board.devices.find(({ id }) => id === row.id)
      const steps: ReportedDevice['steps'] = []
      tell(`\n${row.id} (${row.driver})`)
      if (device !== undefined && !cancelled.aborted) {
        const signal = AbortSignal.any([cancelled, AbortSignal.timeout(timeout * 1000)])
        for await (const step of selfTest(device, { desk, clock: systemClock, signal, page })) {
          steps.push(step)
          tell(`  ${step.name}: ${step.outcome}${step.detail === undefined ? '' : `, ${step.detail}`}`)
        }
      }
      const outcome = steps.length === 0 ? 'not tested' : worst(steps.map((step) => step.outcome))
      const statistics = { ...device?.statistics() }
      devices.push({ id: row.id, class: row.deviceClass, driver: row.driver, outcome, steps, statistics })
    }
  } finally {
    desk.close()
  }
  const outcomes = [...devices.map(({ outcome }) => outcome), ...problems.map(() => 'failed')]
  return {
    kind: 'postern-hardware-report',
    version: 1,
    board: profile.name,
    at,
    host,
    problems: [...problems],
    devices,
    outcome: worst(outcomes),
  }
}

async function testBoard(
  choice: BoardChoice,
  options: TestOptions,
  ids: string[],
  json: boolean,
): Promise<void> {
  const tell = (line: string) => void process.stderr.write(`${line}\n`)
  // The secure element is opened too where the report is to be signed by the terminal's own key.
  const opened = await openChosenBoard(choice, ids)
  const { board, config } = opened
  try {
    const tested = await testDevices(opened, options, tell)
    const report: HardwareReport = { ...tested, signer: config === undefined ? 'development' : 'device' }
    const key =
      config === undefined
        ? developmentKey(join(choice.dataDir, 'hardware-report.pem'))
        : await ownKey(opened)
    const signed = signReport(report, key)
    writeFileSync(options.out, `${JSON.stringify(signed)}\n`)
    const lines = reportLines(report, signed)
    const paper = options.paper ? await printReport(board.device('printer'), lines) : undefined
    if (json) console.log(JSON.stringify({ report, signed: options.out, paper: paper ?? 'not asked for' }))
    else {
      console.log(`\n${lines.join('\n')}\n\nSigned report: ${options.out}`)
      if (paper !== undefined) console.log(`Paper: ${paper}`)
    }
    process.exitCode = report.outcome === 'failed' ? 1 : 0
  } finally {
    await board.close()
  }
}

async function ownKey({ board, config }: OpenedBoard) {
  const store = await openKeyStore(config!, board, systemRandom)
  try {
    return await deviceKey(store)
  } finally {
    store.close()
  }
}

function verifyFile(path: string, keyFile: string | undefined, json: boolean): void {
  if (!existsSync(path)) throw new PosternError('USAGE', `no file ${path}`)
  let signed: unknown
  try {
    signed = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new PosternError('REPORT_REFUSED', 'this is no signed hardware report', { path }, cause)
  }
  const trusted = keyFile === undefined ? undefined : createPublicKey(readFileSync(keyFile))
  const { report, key } = verifyReport(signed, trusted)
  if (json) return console.log(JSON.stringify({ report, key, trusted: trusted !== undefined }))
  console.log(reportLines(report, signed as Parameters<typeof reportLines>[1]).join('\n'))
  console.log(
    trusted === undefined
      ? `\nThe signature holds. Compare the key ${key} with the terminal's record, or give it: --key FILE`
      : `\nThe signature holds, by the key that was given.`,
  )
}

export function halCommand(
  program: Command,
  wholeNumber: (from: number, to: number) => (text: string) => number,
): Command {
  const isJson = () => (program.opts() as { json?: boolean }).json === true
  const boardOptions = (command: Command) =>
    command
      .option('--config <file>', "the secure world's configuration, /etc/postern/secure.json on a device")
      .option('--board <name>', 'a board profile by name or path')
      .option('--param <name=value>', 'a value that the profile leaves open; may be repeated', parameter, {})
  const command = new Command('hal').description('the hardware: what is bound, what is there, what works')
  boardOptions(command.command('list'))
    .description('devices of the board: driver, state, statistics, and what each needs')
    .action((options: Options) => listBoard(choose(program, options), isJson()))
  command
    .command('probe')
    .description('what is attached to this machine, and a profile that would fit')
    .action(() => probe(isJson()))
  boardOptions(command.command('test [devices...]'))
    .description('the self-test of each device; writes a signed report and prints it')
    .option('--yes', 'ask nobody: what only a person can see counts as not seen')
    .option('--timeout <seconds>', 'time for each device', wholeNumber(1, 3600), 120)
    .option('--out <file>', 'the signed report', 'hardware-report.json')
    .option('--no-paper', 'do not print the report')
    .action((ids: string[], options: TestOptions) =>
      testBoard(choose(program, options), options, ids, isJson()),
    )
  command
    .command('verify <file>')
    .description('checks a signed report')
    .option('--key <file>', "PEM of the terminal's public key")
    .action((file: string, { key }: { key?: string }) => verifyFile(file, key, isJson()))
  return command
}
