// The layers: dependency-cruiser with the arrows of the design, and proof that it saw every module.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../hal/base/package-root.js'
import { runCommand } from './run-command.js'

/** The folders of the house that hold modules. */
export const ROOMS = ['hal', 'runtime', 'apps', 'scripts', 'test'] as const

interface CruiseResult {
  readonly modules: readonly { readonly source: string }[]
  readonly summary: {
    readonly violations: readonly {
      readonly rule: { readonly name: string }
      readonly from: string
      readonly to: string
    }[]
  }
}

export interface LayerReport {
  /** Sources of our own that the tool looked at. */
  readonly seen: readonly string[]
  readonly violations: readonly { readonly rule: string; readonly from: string; readonly to: string }[]
}

/** Cruises the tree under `root` with the house's rules. Throws with the tool's words when it could not run. */
export async function cruise(root = packageRoot): Promise<LayerReport> {
  const tool = join(packageRoot, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs')
  const rooms = ROOMS.filter((room) => existsSync(join(root, room)))
  const done = await runCommand(
    process.execPath,
    [tool, '--config', join(packageRoot, '.dependency-cruiser.cjs'), '--output-type', 'json', ...rooms],
    { cwd: root },
  )
  if (!done.stdout.startsWith('{'))
    throw new Error(`dependency-cruiser did not run: ${done.output.slice(0, 2000)}`)
  const result = JSON.parse(done.stdout) as CruiseResult
  return {
    seen: result.modules
      .map((module) => module.source)
      .filter((source) => /^(hal|runtime|apps|scripts|test)\/.*\.ts$/.test(source)),
    violations: result.summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to })),
  }
}

/** Faults in words; empty when the layers hold and no module that git lists was overlooked. */
export async function checkLayers(): Promise<string[]> {
  const report = await cruise()
  const listed = await runCommand('git', [
    'ls-files',
    '--cached',
    '--others',
    '--exclude-standard',
    '--',
    '*.ts',
  ])
  const modules = listed.stdout
    .split('\n')
    .filter((path) => path !== '' && existsSync(join(packageRoot, path)))
  const seen = new Set(report.seen)
  const faults = report.violations.map(({ rule, from, to }) => `${rule}: ${from} → ${to}`)
  if (listed.code === 0) {
    const overlooked = modules.filter((path) => !seen.has(path))
    if (overlooked.length > 0)
      faults.push(
        `the layer tool did not see ${overlooked.length} modules: ${overlooked.slice(0, 5).join(', ')}`,
      )
  }
  if (seen.size === 0) faults.push('the layer tool saw no modules at all')
  return faults
}
