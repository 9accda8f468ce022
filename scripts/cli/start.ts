// `postern start`: a development terminal in the browser, or a scenario played without one.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { systemClock } from '../../hal/base/clock.js'
import { PosternError } from '../../hal/base/errors.js'
import { boardNames } from '../../hal/boards.js'
import { play } from '../dev/scenarios/player.js'
import { readScenario, scenarioNames } from '../dev/scenarios/scenario.js'
import { createStage } from '../dev/scenarios/stage.js'
import { type DevTerminal, startTerminal, type TerminalOptions } from '../dev/supervisor/terminal.js'

interface StartOptions {
  readonly play?: string | true
  readonly board: string
  readonly port?: number
  readonly hostTimeout?: number
  readonly verbose?: boolean
  readonly browser: boolean
  readonly fiscal?: boolean
}

/** A scenario's host is silent for so long before the terminal reverses: a person's patience, not a test's. */
const PLAY_HOST_MS = 10_000
const HOST_MS = 45_000
const DEFAULT_PORT = 8700
/** Boards that the virtual handheld can be; others are hardware: `postern hal`. */
const playable = () => boardNames().filter((name) => name.startsWith('virtual-'))

export function startCommand(
  program: Command,
  wholeNumber: (from: number, to: number) => (text: string) => number,
): Command {
  return new Command('start')
    .description('start a development terminal with its acquirer, cloud and sample deliveries')
    .option(
      '--play [scenario]',
      'play a scenario (a name or a YAML file) without a browser; without a name: list them',
    )
    .option('--board <name>', `board profile: ${playable().join(', ')}`, 'virtual-handheld')
    .option(
      '--port <number>',
      `port of the page (default: ${DEFAULT_PORT}; 0 takes a free one)`,
      wholeNumber(0, 65_535),
    )
    .option(
      '--host-timeout <ms>',
      "how long the terminal waits for the acquirer's answer",
      wholeNumber(500, 120_000),
    )
    .option('--fiscal', "the merchant's country wants receipts signed: the development signer does it")
    .option('--verbose', 'write everything to the log files')
    .option('--no-browser', 'do not open the page')
    .action(async (options: StartOptions) => {
      const { json = false, dataDir } = program.opts() as { json?: boolean; dataDir: string }
      if (!playable().includes(options.board))
        throw new PosternError('USAGE', `no board ${options.board}; there are: ${playable().join(', ')}`)
      if (options.play === true) return listScenarios(json)
      if (options.play !== undefined)
        return playOne(
          options.play,
          options,
          json,
          program.getOptionValueSource('dataDir') === 'default' ? undefined : dataDir,
        )
      await serve(options, dataDir)
    })
}

function listScenarios(json: boolean): void {
  const rows = scenarioNames().map((name) => ({ name, title: readScenario(name).title }))
  if (json) return console.log(JSON.stringify(rows))
  console.log('Scenarios; play one with: npm start -- --play NAME\n')
  for (const { name, title } of rows) console.log(`  ${name.padEnd(28)} ${title}`)
}

function terminalOptions(
  options: StartOptions,
  dataDir: string,
  port: number,
  hostMs: number,
  tell: (line: string) => void,
): TerminalOptions {
  return {
    dataDir,
    board: options.board,
    port,
    hostMs,
    logLevel: options.verbose ? 'debug' : 'info',
    fiscal: options.fiscal === true,
    tell,
  }
}

async function playOne(
  name: string,
  options: StartOptions,
  json: boolean,
  dataDir: string | undefined,
): Promise<void> {
  const scenario = readScenario(name)
  const lines: string[] = []
  const tell = (line: string) => (json ? lines.push(line) : console.log(line))
  // Without a folder of its own a scenario begins with a terminal fresh from the factory.
  const folder = dataDir ?? mkdtempSync(join(tmpdir(), 'postern-play-'))
  tell(`${scenario.title}\n`)
  let terminal: DevTerminal | undefined
  let passed = false
  try {
    terminal = await startTerminal(
      terminalOptions(
        { ...options, fiscal: options.fiscal === true || scenario.fiscalSigner === true },
        folder,
        options.port ?? 0,
        options.hostTimeout ?? PLAY_HOST_MS,
        tell,
      ),
    )
    for (const missing of terminal.isolation.missing) tell(`Missing on this machine: ${missing}.`)
    const stage = createStage(terminal)
    const result = await play(scenario, stage, systemClock, tell)
    const paper = await stage.paper()
    if (paper !== '')
      tell(
        `\nPaper:\n${paper
          .split('\n')
          .map((line) => `  ${line}`)
          .join('\n')}`,
      )
    passed = result.passed
    tell(`\n${passed ? 'Passed' : `Failed at ${result.failure}`}: ${scenario.title}`)
  } finally {
    const logs = terminal?.layout.logs
    await terminal?.stop()
    if (dataDir === undefined && passed) rmSync(folder, { recursive: true, force: true })
    else if (!passed) tell(`Logs: ${logs ?? folder}`)
  }
  if (json) console.log(JSON.stringify({ scenario: name, passed, lines }))
  process.exitCode = passed ? 0 : 1
}

async function serve(options: StartOptions, dataDir: string): Promise<void> {
  const lock = holdLock(dataDir)
  const terminal = await startTerminal(
    terminalOptions(
      options,
      dataDir,
      options.port ?? DEFAULT_PORT,
      options.hostTimeout ?? HOST_MS,
      console.log,
    ),
  ).catch((error: Error) => {
    lock()
    if (!error.message.includes('EADDRINUSE') && !/handheld ended/.test(error.message)) throw error
    throw new PosternError(
      'START_FAILED',
      `${error.message}. If port ${options.port ?? DEFAULT_PORT} is taken: npm start -- --port 0`,
    )
  })
  console.log(`
A courier's terminal is ready:   ${terminal.page}
What the cloud knows:            ${terminal.cloud}

Sign in with courier 1001, code 1111. Choose a parcel, press Collect, put the card "Credit, PIN" into
the slot and type its PIN. A supervisor is 9001, code 9999; courier 1002 (code 2222) works in Chinese.
Without a browser:               npm start -- --play courier-card
Data: ${terminal.layout.data}   Stop with Ctrl+C.`)
  for (const missing of terminal.isolation.missing) console.log(`Missing on this machine: ${missing}.`)
  if (options.browser) openBrowser(terminal.page)
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
  })
  console.log('\nStopping.')
  const verdict = await createStage(terminal)
    .verdict()
    .catch((error: Error) => ({ words: `The books could not be compared: ${error.message}` }))
  console.log(verdict.words)
  await terminal.stop()
  lock()
}

/** One terminal a folder: two would share a journal. Returns what lets go. */
function holdLock(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true })
  const path = join(dataDir, 'running.pid')
  for (let tries = 0; tries < 2; tries++) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' })
      return () => rmSync(path, { force: true })
    } catch {
      const pid = Number(readPid(path))
      if (pid > 0 && existsSync(`/proc/${pid}`)) {
        throw new PosternError(
          'ALREADY_RUNNING',
          `a terminal is running on ${dataDir} already (process ${pid}); stop it, or use --data-dir`,
        )
      }
      rmSync(path, { force: true })
    }
  }
  throw new PosternError('ALREADY_RUNNING', `cannot take ${path}`)
}

const readPid = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '')

function openBrowser(url: string): void {
  if (!process.stdout.isTTY || (!process.env['DISPLAY'] && !process.env['WAYLAND_DISPLAY'])) return
  spawn('xdg-open', [url], { stdio: 'ignore', detached: true })
    .on('error', () => {})
    .unref()
}
