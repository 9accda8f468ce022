// npm run check: types, lint, layers, dead code, app folders. Prints a line each; exits 1 on any fault.
import { join } from 'node:path'
import { packageRoot } from '../../hal/base/package-root.js'
import { checkAppFolders } from './app-folders.js'
import { checkLayers } from './layers.js'
import { runCommand } from './run-command.js'

const tool = (path: string) => join(packageRoot, 'node_modules', path)

async function byCommand(args: readonly string[]): Promise<string[]> {
  const done = await runCommand(process.execPath, args)
  return done.code === 0 ? [] : [done.output.trim().slice(0, 20_000) || `exit ${done.code}`]
}

/** Each check resolves with its faults in words. */
const CHECKS: Readonly<Record<string, () => Promise<string[]> | string[]>> = {
  types: () => byCommand([tool('typescript/bin/tsc'), '-p', packageRoot, '--noEmit']),
  lint: () =>
    byCommand([
      tool('@biomejs/biome/bin/biome'),
      'check',
      '--diagnostic-level=warn',
      '--error-on-warnings',
      packageRoot,
    ]),
  layers: checkLayers,
  'dead code': () => byCommand([tool('knip/bin/knip.js'), '--no-progress']),
  'app folders': () => checkAppFolders(),
}

let failed = 0
for (const [name, check] of Object.entries(CHECKS)) {
  const begin = performance.now()
  const faults = await check()
  console.log(
    `${faults.length === 0 ? 'ok    ' : 'FAULTY'} ${name} (${((performance.now() - begin) / 1000).toFixed(1)} s)`,
  )
  for (const fault of faults) console.log(`       ${fault.replaceAll('\n', '\n       ')}`)
  if (faults.length > 0) failed++
}
console.log(
  failed === 0 ? 'All checks hold.' : `${failed} of ${Object.keys(CHECKS).length} checks found faults.`,
)
process.exitCode = failed === 0 ? 0 : 1
