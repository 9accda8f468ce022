// Durable files: what is read back is whole, whatever happened to the newest generation.
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ascii } from '../../../hal/base/bytes.js'
import { readDurable, writeDurable } from '../../../hal/base/durable-file.js'

function place(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-durable-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'state')
}

t.test('reads what was written, private to its owner, with no temporary file left', async (t) => {
  const path = place(t)
  t.equal(readDurable(path), undefined)
  writeDurable(path, ascii.encode('one'))
  writeDurable(path, ascii.encode('two'))
  t.same(readDurable(path), { content: ascii.encode('two'), generation: 'current' })
  t.same(readDurable(`${path}.previous`)?.content, ascii.encode('one'))
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.same(readdirSync(join(path, '..')).sort(), ['state', 'state.previous'])
})

t.test('a torn or altered newest generation falls back to the former one', async (t) => {
  for (const harm of [
    (path: string) => truncateSync(path, 66),
    (path: string) => truncateSync(path, 0),
    (path: string) => writeFileSync(path, 'null'),
    (path: string) => writeFileSync(path, readFileSync(path, 'latin1').replace('two', 'six')),
    (path: string) => rmSync(path),
  ]) {
    const path = place(t)
    writeDurable(path, ascii.encode('one'))
    writeDurable(path, ascii.encode('two'))
    harm(path)
    t.same(readDurable(path), { content: ascii.encode('one'), generation: 'previous' })
    writeDurable(path, ascii.encode('three'))
    t.same(readDurable(path)?.content, ascii.encode('three'))
  }
})

t.test('two damaged generations are a fault, not an empty file', async (t) => {
  const path = place(t)
  writeDurable(path, ascii.encode('one'))
  writeFileSync(path, 'x')
  t.throws(() => readDurable(path), { code: 'FILE_CORRUPT' })
})

t.test('a failed write leaves the file as it was', async (t) => {
  const path = place(t)
  writeDurable(path, ascii.encode('one'))
  t.throws(() => writeDurable(join(path, 'under-a-file'), ascii.encode('two')))
  t.same(readDurable(path)?.content, ascii.encode('one'))
})
