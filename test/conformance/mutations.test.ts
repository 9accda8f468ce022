// A runner that passes everything proves nothing: every kind's expectation is bent, value by value, and must then fail.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../hal/base/package-root.js'
import { kindName, runVector } from './run-vector.js'
import { readVectorFile, type Vector, type VectorFile, walk } from './vectors.js'

/** Where the recorded vectors lie, beside the repository. */
const VECTORS = process.env['POSTERN_VECTORS'] ?? join(packageRoot, '../shared/conformance')
/** What of a vector is an expectation. */
const EXPECTATIONS = ['expect', 'expected', 'upstreamAsserts', 'expectedDecode', 'checksumOk', 'sha1']
/** Vectors tried of each kind, and bends tried of each place until one was caught. */
const MOST_VECTORS = 25
const MOST_BENDS = 25

type Path = readonly (string | number)[]

function* places(value: Vector, path: Path): Generator<Path> {
  if (Array.isArray(value)) for (const [i, item] of value.entries()) yield* places(item, [...path, i])
  else if (value !== null && typeof value === 'object')
    for (const key of Object.keys(value)) yield* places(value[key], [...path, key])
  else if (value !== null) yield path
}

/** Another value of the same type. */
function bend(value: string | number | boolean): string | number | boolean {
  if (typeof value === 'boolean') return !value
  if (typeof value === 'number') return value + 1
  return value === '' ? '00' : value.slice(0, -1) + (value.endsWith('1') ? '2' : '1')
}

function bent(vector: Vector, path: Path): Vector {
  const copy = structuredClone(vector)
  const holder = path.slice(0, -1).reduce((at, key) => at[key], copy)
  holder[path.at(-1)!] = bend(holder[path.at(-1)!])
  return copy
}

/** A place without its indices: `expect.candidates.#.aid`. */
const nameOf = (path: Path) => path.map((key) => (typeof key === 'number' ? '#' : key)).join('.')

/** Places whose bending no vector of the file noticed, by kind; a skip by a rule is noticed, too. */
async function unnoticed(file: VectorFile): Promise<string[]> {
  const seen = new Map<string, { caught: boolean; tried: number }>()
  const vectors = new Map<string, number>()
  for (const vector of file.vectors) {
    const kind = kindName(vector, file)
    const count = vectors.get(kind) ?? 0
    if (count === MOST_VECTORS || (await runVector(vector, file)).kind !== 'passed') continue
    vectors.set(kind, count + 1)
    for (const top of EXPECTATIONS.filter((key) => key in vector)) {
      for (const path of places(vector[top], [top])) {
        const name = `${kind} ${nameOf(path)}`
        const place = seen.get(name) ?? { caught: false, tried: 0 }
        seen.set(name, place)
        if (place.caught || place.tried++ >= MOST_BENDS) continue
        place.caught = (await runVector(bent(vector, path), file)).kind !== 'passed'
      }
    }
  }
  return [...seen].filter(([, { caught }]) => !caught).map(([name]) => name)
}

/** What a bend may leave unnoticed, and why. */
const INDIFFERENT: readonly [place: RegExp, why: string][] = [
  [/ expect(ed)?\.error$/, 'the words of another program: that it refuses is compared'],
  [/candidates(After)?\.#\.tlv\./, 'a candidate keeps what selection needs of the FCI, and that is compared'],
  [/oda-rsa expect\.code$/, "the recorder's own numbers for its status, which is compared"],
  [
    /iso8583\.unpack expected\.fields\.[ph1]$/,
    'header and bitmaps: what they say is shown by the fields found',
  ],
  [
    /pinblock\.encode_iso9564_format1 /,
    "its filler is the encoder's choice (ISO 9564-1, 9.3.3.2): the last digit is one",
  ],
  [/upstreamAsserts\.#\.subject$/, 'the name of a getter; one that no payment knows is left out'],
]

const absent = existsSync(VECTORS) ? false : 'no vectors beside the repository'

t.test('bent vectors of every recorded kind fail', { skip: absent }, async (t) => {
  for (const path of walk(VECTORS)) {
    const file = readVectorFile(path)
    if (file === undefined) continue
    const left = (await unnoticed(file)).filter((name) => !INDIFFERENT.some(([place]) => place.test(name)))
    t.same(left, [], `${file.key}: every bend is noticed`)
  }
})

/** Vectors of our own, one a kind: they hold without a folder beside the repository. */
const OWN: readonly { readonly key: string; readonly vector: Vector }[] = [
  { key: 'emv-utils/atr', vector: { atr: '3B600000', expect: { outcome: 'OK' } } },
  {
    key: 'emv-utils/transport',
    vector: {
      op: 'readRecord',
      mode: 'TPDU',
      sfi: 1,
      record: 1,
      exchanges: [
        { c: '00B2010C00', r: '6C02' },
        { c: '00B2010C02', r: 'B270009000' },
      ],
      expect: { data: '7000', sw: '9000' },
    },
  },
  {
    key: 'emv-utils/dol',
    vector: {
      op: 'build',
      dol: '9A039F3704',
      sources: [[{ t: '9A', v: '260101' }]],
      expect: { data: '26010100000000' },
    },
  },
  {
    key: 'emv-utils/dates',
    vector: {
      op: 'expired',
      txnDate: { t: '9A', v: '260102' },
      date: { t: '5F24', v: '260101' },
      expect: true,
    },
  },
  {
    key: 'emv-utils/cvm-list-parse',
    vector: {
      cvmList: '00000000000000001F00',
      expect: { amountX: 0, amountY: 0, rules: [{ code: '1F', condition: '00' }] },
    },
  },
  {
    key: 'emv-utils/processing-restrictions',
    vector: {
      given: {
        params: [{ t: '9A', v: '260102' }],
        icc: [
          { t: '5F24', v: '260101' },
          { t: '9F08', v: '0002' },
        ],
      },
      expect: { tvr: '00C0000000' },
    },
  },
  {
    key: 'emv-utils/terminal-risk-management',
    vector: {
      given: {
        config: [{ t: '9F1B', v: '00000064' }],
        params: [{ t: '81', v: '00000064' }],
        icc: [
          { t: '9F14', v: '01' },
          { t: '9F23', v: '02' },
        ],
      },
      exchanges: [
        { c: '80CA9F3600', r: '9F360200029000' },
        { c: '80CA9F1300', r: '9F130200009000' },
      ],
      expect: { outcome: 'OK', tvr: '000800C000', tsi: '0800' },
    },
  },
  {
    key: 'emv-utils/read-afl-records',
    vector: {
      afl: '08010101',
      exchanges: [{ c: '00B2010C00', r: '70039C01019000' }],
      expect: { outcome: 'OK', records: [{ t: '9C', v: '01' }], odaRecords: '9C0101' },
    },
  },
  {
    key: 'emv-utils/candidate-list',
    vector: {
      config: { supportedApps: [{ aid: 'A0000000031010', asi: 0 }] },
      exchanges: [
        { c: '00A404000E315041592E5359532E444446303100', r: '6A82' },
        { c: '00A4040007A000000003101000', r: '6F118407A0000000031010A5065004544553549000' },
      ],
      expect: {
        outcome: 'OK',
        candidates: [
          { aid: 'A0000000031010', displayName: 'TEST', priority: 0, confirmationRequired: false },
        ],
      },
    },
  },
  {
    key: 'emv-utils/initiate-application',
    vector: {
      given: { selectedApp: [{ aid: 'A0000000031010', tlv: [{ t: '84', v: 'A0000000031010' }] }] },
      exchanges: [{ c: '80A8000002830000', r: '80060000080101009000' }],
      expect: {
        outcome: 'OK',
        icc: [
          { t: '84', v: 'A0000000031010' },
          { t: '82', v: '0000' },
          { t: '94', v: '08010100' },
        ],
        terminal: [{ t: '9F06', v: 'A0000000031010' }],
        pdolData: '',
      },
    },
  },
]

t.test('own vectors pass as they are and fail when bent', async (t) => {
  for (const { key, vector } of OWN) {
    const file: VectorFile = {
      path: `${key}.json`,
      key,
      shape: 'as recorded',
      vectors: [vector],
      document: {},
    }
    t.same(await runVector(vector, file), { kind: 'passed' }, `${key} passes`)
    for (const path of places(vector.expect, ['expect']))
      t.equal((await runVector(bent(vector, path), file)).kind, 'failed', `${key}: ${nameOf(path)}`)
  }
})

t.test('a variant that no handler knows is a named skip, not a pass and not a crash', async (t) => {
  const file = (key: string): VectorFile => ({
    path: key,
    key,
    shape: 'as recorded',
    vectors: [],
    document: {},
  })
  for (const [key, vector] of [
    ['emv-utils/transport', { op: 'envelope', mode: 'APDU', exchanges: [], expect: {} }],
    ['emv-utils/transport', { op: 'trx', mode: 'T=2', exchanges: [], expect: {} }],
    ['emv-utils/dates', { op: 'leap', expect: true }],
    ['emv-utils/dol', { op: 'shuffle', dol: '', expect: {} }],
    ['emv-utils/oda-rsa', { op: 'xdad', expect: {} }],
  ] as const) {
    const verdict = await runVector(vector, file(key))
    t.match(verdict, { kind: 'skipped', reason: /a variant that the runner does not know/ }, key)
  }
  t.match(await runVector({ dol: '9A' }, file('emv-utils/dol')), { kind: 'failed' }, 'without an expectation')
})
