// npm run bench [-- NAME…]: runs every *.bench file one after the other and closes with one table. It never judges a time.
import { readdirSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageRoot } from '../../hal/base/package-root.js'
import type { Bench, Row } from './measure.js'

const folder = join(packageRoot, 'dist', 'scripts', 'bench')
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.bench.js'))
  .map((file) => file.slice(0, -'.bench.js'.length))
  .sort()
const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !names.includes(name))
if (unknown.length > 0) {
  console.error(`no bench ${unknown.join(', ')}; there are: ${names.join(', ')}`)
  process.exit(2)
}

/** Three digits that count; whole above 100. */
const figure = (value: number) =>
  value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)))

function lineOf({ what, value, unit, peer }: Row): string[] {
  const beside =
    peer === undefined ? ['', '', ''] : [figure(value / peer.value), figure(peer.value), peer.what]
  return [what, figure(value), unit, ...beside]
}

const table: string[][] = []
let failed = false
for (const name of names.filter((candidate) => wanted.length === 0 || wanted.includes(candidate))) {
  const { bench } = (await import(pathToFileURL(join(folder, `${name}.bench.js`)).href)) as { bench: Bench }
  console.log(`${name}: ${bench.title}`)
  try {
    const rows = await bench.run((line) => console.log(`  ${line}`))
    table.push([`[${name}]`, '', '', '', '', ''], ...rows.map(lineOf))
  } catch (error) {
    failed = true
    table.push([`[${name}]`, 'failed', '', '', '', ''])
    console.error(`  failed: ${(error as Error).stack}`)
  }
}

const header = ['what', 'measured', '', 'ratio', 'to', 'which is']
const all = [header, ...table]
const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
const right = new Set([1, 3, 4])
console.log(
  `\nNode ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, load ${loadavg()[0]!.toFixed(1)}; medians\n`,
)
for (const row of all)
  console.log(
    row
      .map((cell, column) =>
        right.has(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
      .trimEnd(),
  )
process.exitCode = failed ? 1 : 0
