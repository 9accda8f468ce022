// Planted violations: each arrow that the design forbids is caught, and the lawful ones pass.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { packageRoot } from '../../../hal/base/package-root.js'
import { cruise } from '../../../scripts/check/layers.js'

/** A small house in a temporary folder: path → the paths that it imports. */
function house(t: Test, files: Readonly<Record<string, readonly string[]>>): string {
  const root = mkdtempSync(join(tmpdir(), 'postern-layers-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  symlinkSync(join(packageRoot, 'node_modules'), join(root, 'node_modules'))
  writeFileSync(join(root, 'tsconfig.json'), '{"compilerOptions":{"module":"nodenext","target":"es2023"}}')
  writeFileSync(
    join(root, 'package.json'),
    '{"type":"module","dependencies":{"serialport":"*"},"devDependencies":{"aedes":"*"}}',
  )
  for (const [path, imports] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    const up = '../'.repeat(path.split('/').length - 1)
    const lines = imports.map(
      (to) => `import '${/^[a-z@][^.]*$/.test(to) ? to : up + to.replace(/\.ts$/, '.js')}'`,
    )
    writeFileSync(join(root, path), `${lines.join('\n')}\nexport const here = 1\n`)
  }
  return root
}

const leaves = {
  'hal/base/bytes.ts': [],
  'hal/keypad.ts': ['hal/base/bytes.ts'],
  'hal/drivers/gpio-keypad.ts': ['hal/keypad.ts', 'hal/base/bytes.ts', 'serialport'],
  'hal/simulated/keypad.ts': ['hal/keypad.ts'],
  'runtime/api/screens.ts': ['typebox'],
  'runtime/bridge/contract.ts': ['runtime/api/screens.ts', 'hal/base/bytes.ts'],
  'runtime/secure/pin.ts': ['runtime/bridge/contract.ts', 'hal/keypad.ts'],
  'runtime/secure/boot.ts': [
    'hal/drivers/gpio-keypad.ts',
    'hal/simulated/keypad.ts',
    'runtime/secure/pin.ts',
  ],
  'runtime/open/link.ts': ['runtime/bridge/contract.ts', 'hal/keypad.ts'],
  'runtime/open/boot.ts': ['hal/drivers/gpio-keypad.ts', 'runtime/open/link.ts'],
  'apps/courier/main.ts': ['runtime/api/screens.ts'],
  'scripts/dev/tool.ts': ['runtime/secure/pin.ts', 'runtime/open/link.ts', 'aedes'],
  'test/pin.test.ts': ['runtime/secure/pin.ts', 'hal/simulated/keypad.ts'],
}

t.test('the lawful house has no violation, and every module was seen', async (t) => {
  const report = await cruise(house(t, leaves))
  t.same(report.violations, [])
  t.same([...report.seen].sort(), Object.keys(leaves).sort())
})

const planted: readonly (readonly [rule: string, from: string, to: string])[] = [
  ['apps-see-the-api', 'apps/courier/main.ts', 'runtime/bridge/contract.ts'],
  ['apps-see-the-api', 'apps/courier/main.ts', 'runtime/open/link.ts'],
  ['apps-see-the-api', 'apps/courier/main.ts', 'hal/base/bytes.ts'],
  ['apps-do-not-meet', 'apps/other/main.ts', 'apps/courier/main.ts'],
  ['api-is-a-leaf', 'runtime/api/screens.ts', 'hal/base/bytes.ts'],
  ['bridge', 'runtime/bridge/contract.ts', 'runtime/secure/pin.ts'],
  ['bridge', 'runtime/bridge/contract.ts', 'hal/keypad.ts'],
  ['open', 'runtime/open/link.ts', 'runtime/secure/pin.ts'],
  ['open', 'runtime/open/link.ts', 'hal/drivers/gpio-keypad.ts'],
  ['open-boot', 'runtime/open/boot.ts', 'runtime/secure/pin.ts'],
  ['secure', 'runtime/secure/pin.ts', 'runtime/open/link.ts'],
  ['secure', 'runtime/secure/pin.ts', 'hal/simulated/keypad.ts'],
  ['secure-boot', 'runtime/secure/boot.ts', 'runtime/open/link.ts'],
  ['secure', 'runtime/secure/pin.ts', 'scripts/dev/tool.ts'],
  ['hal-interfaces', 'hal/keypad.ts', 'hal/simulated/keypad.ts'],
  ['hal-base', 'hal/base/bytes.ts', 'hal/keypad.ts'],
  ['drivers', 'hal/drivers/gpio-keypad.ts', 'runtime/api/screens.ts'],
  ['drivers', 'hal/drivers/gpio-keypad.ts', 'hal/simulated/keypad.ts'],
  ['simulated', 'hal/simulated/keypad.ts', 'runtime/secure/pin.ts'],
  ['driver-libraries', 'runtime/open/link.ts', 'serialport'],
  ['driver-libraries', 'hal/simulated/keypad.ts', 'serialport'],
  ['no-network-in-the-secure-world', 'runtime/secure/pin.ts', 'node:http'],
  ['no-development-parts', 'runtime/open/link.ts', 'aedes'],
  ['no-cycles', 'hal/base/bytes.ts', 'hal/base/bytes2.ts'],
]

t.test('each planted violation is caught by the rule that forbids it', async (t) => {
  const files: Record<string, readonly string[]> = { ...leaves }
  for (const [, from, to] of planted) {
    files[from] = [...(files[from] ?? []), to]
    if (to === 'hal/base/bytes2.ts') files[to] = [from]
  }
  const { violations } = await cruise(house(t, files))
  for (const [rule, from, to] of planted) {
    const library = to.replace('node:', '')
    const caught = violations.some(
      (found) => found.rule === rule && found.from === from && found.to.includes(library),
    )
    t.ok(caught, `${rule}: ${from} → ${to}`)
  }
})
