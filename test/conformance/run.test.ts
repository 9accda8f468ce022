// The conformance runner: recognises files, counts, prints what failed and why something was skipped, and its exit code.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../hal/base/package-root.js'

const run = (...folders: string[]) => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(packageRoot, 'dist/test/conformance/run.js'), ...folders],
    { encoding: 'utf8', timeout: 60_000 },
  )
  return { status, lines: stdout.trimEnd().split('\n'), stderr }
}

const kcv = (result: string) => ({
  algo: 'psec.des.generate_kcv',
  inputs: { key: '0123456789ABCDEFFEDCBA9876543210', length: 3 },
  expected: { result },
  test: 'a planted vector',
})

t.test('all pass: exit 0, the counts alone on the last line', async (t) => {
  const folder = t.testdir({
    deep: { host: { 'mac-des-aes.json': JSON.stringify([kcv('08D7B4'), kcv('08D7B4')]) } },
  })
  const { status, lines } = run(folder)
  t.equal(status, 0)
  t.equal(lines.at(-1), '2 passed, 0 failed, 0 skipped')
})

t.test(
  'a wrong answer, a missing refusal and a file that is no JSON fail, each with file, name, expected and got',
  async (t) => {
    const refusal = { ...kcv(''), expected: { error: 'must be refused' } }
    const folder = t.testdir({
      host: {
        'a.json': JSON.stringify([kcv('08D7B4'), kcv('FFFFFF'), refusal]),
        'b.json': '{"vectors":',
      },
    })
    const { status, lines } = run(folder)
    t.equal(status, 1)
    t.equal(lines.at(-1), '1 passed, 3 failed, 0 skipped')
    const text = lines.join('\n')
    t.match(
      text,
      /FAILED .*host\/a\.json #1 psec\.des\.generate_kcv a planted vector\n {2}expected FFFFFF\n {2}got {6}08D7B4/,
    )
    t.match(text, /FAILED .*host\/a\.json #2 .*\n {2}expected must be refused\n {2}got {6}08D7B4/)
    t.match(text, /FAILED .*host\/b\.json \(the file\)/)
  },
)

t.test('kinds that nothing serves are skipped by name; tables without vectors are passed over', async (t) => {
  const folder = t.testdir({
    host: {
      'new.json': JSON.stringify([{ algo: 'unheard.of', inputs: {}, expected: {} }]),
      'emvco-qr-mpm.json': JSON.stringify([{ algo: 'emvco.mpm', inputs: {}, expected: {} }]),
      'SOURCES.json': '{"a":{"repo":"b"}}',
      specs: { 'table.json': '{"fields":{}}' },
    },
  })
  const { status, lines } = run(folder)
  t.equal(status, 0)
  t.equal(lines.at(-1), '0 passed, 0 failed, 2 skipped')
  t.match(lines.join('\n'), /1 × unheard\.of: a kind that the runner does not know/)
  t.match(lines.join('\n'), /1 × emvco\.mpm: will be served by the QR tender/)
})

t.test('a file of a known shape is served under another folder, and in numbered parts', async (t) => {
  const document = JSON.stringify({
    shape: 'as recorded',
    vectors: [{ name: 'a', atr: '3B600000', expect: { outcome: 'OK' } }],
  })
  const folder = t.testdir({ elsewhere: { 'atr.json': document, 'atr-2.json': document } })
  const { status, lines } = run(folder)
  t.equal(status, 0)
  t.equal(lines.at(-1), '2 passed, 0 failed, 0 skipped')
})

t.test('without folders, or with one that is not there, it says how it is used and exits 2', async (t) => {
  for (const folders of [[], ['/nowhere/at/all'], ['--help']]) {
    const { status, stderr } = run(...folders)
    t.equal(status, 2)
    t.match(stderr, /usage: npm run conformance -- DIR…/)
  }
})
