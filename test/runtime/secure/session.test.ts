// Operators: sign-in, a supervisor's word, guessers locked out across restarts; and the documents that people write.
import { join } from 'node:path'
import t from 'tap'
import { ascii } from '../../../hal/base/bytes.js'
import { silentLog } from '../../../hal/base/log.js'
import { packageRoot } from '../../../hal/base/package-root.js'
import type { Operator } from '../../../runtime/api/payments.js'
import { codeMatches, hashCode } from '../../../runtime/secure/operator-codes.js'
import { type OperatorsDocument, readOperatorsDocument } from '../../../runtime/secure/operators-document.js'
import { readAcquirersDocument } from '../../../runtime/secure/payments/acquirer-document.js'
import { openJournal } from '../../../runtime/secure/payments/journal.js'
import { readMerchantDocument } from '../../../runtime/secure/payments/merchant-document.js'
import {
  createSession,
  LOCK_OUT_MS,
  MAX_FAILURES,
  type OperatorQuestion,
} from '../../../runtime/secure/session.js'
import { loadTexts } from '../../../runtime/secure/texts.js'
import { MERCHANT, testClock } from './payments/support.js'

const salt = new Uint8Array(16).fill(7)
const code = (digits: string) => ascii.encode(digits)
const DOCUMENT: OperatorsDocument = readOperatorsDocument({
  operators: [
    { id: '17', name: 'Anna', role: 'courier', locale: 'en', code: await hashCode(code('1234'), salt) },
    { id: '18', name: 'Bo', role: 'courier', locale: 'zh', code: await hashCode(code('4321'), salt) },
    { id: '99', name: 'Chief', role: 'supervisor', locale: 'en', code: await hashCode(code('999999'), salt) },
  ],
})

/** A session whose prompt is answered from a list: `number code`, or undefined for giving up. */
function session(
  folder: string,
  clock = testClock(),
  beginRound: (operator: Operator) => string | undefined = () => undefined,
) {
  const journal = openJournal(join(folder, 'journal.db'), clock)
  const asked: OperatorQuestion[] = []
  const typed: Uint8Array[] = []
  const answers: (string | undefined)[] = []
  const changes: (string | undefined)[] = []
  const made = createSession({
    operators: DOCUMENT,
    prompts: {
      async askOperator(question) {
        asked.push(question)
        const answer = answers.shift()
        if (answer === undefined) return undefined
        const [number, digits] = answer.split(' ')
        typed.push(code(digits!))
        return { number: number!, code: typed.at(-1)! }
      },
    },
    attempts: {
      attempts: (operator) => journal.attempts(operator),
      putAttempts: (operator, attempts) =>
        journal.commit('attempt', (step) => step.putAttempts(operator, attempts)),
    },
    beginRound,
    texts: loadTexts(join(packageRoot, 'runtime/secure/payments/texts')),
    locale: 'en',
    clock,
    log: silentLog,
    onChanged: (operator) => changes.push(operator?.id),
  })
  return { session: made, journal, asked, typed, answers, changes, clock }
}

const never = new AbortController().signal

t.test('sign-in, sign-out, and a wrong code asked again with the reason', async (t) => {
  const { session: own, asked, typed, answers, changes, journal } = session(t.testdir())
  answers.push('17 0000', '404 1234', '17 1234')
  t.match(await own.signIn(never), { id: '17', name: 'Anna', role: 'courier', locale: 'en', code: undefined })
  t.match(own.operator, { id: '17' })
  t.strictSame(
    asked.map(({ problem }) => problem),
    [undefined, 'Wrong number or code. Try again.', 'Wrong number or code. Try again.'],
    'a wrong number and a wrong code look the same',
  )
  t.ok(
    typed.every((bytes) => bytes.every((byte) => byte === 0)),
    'what was typed is erased',
  )
  own.signOut()
  own.signOut()
  t.strictSame(changes, ['17', undefined])
  t.equal(await own.signIn(never), null, 'given up')
  t.equal(await own.signIn(AbortSignal.abort()), null)
  journal.close()
})

t.test('a round of somebody else stands in the way, in words', async (t) => {
  const {
    session: own,
    asked,
    answers,
    journal,
  } = session(t.testdir(), testClock(), ({ id }) => (id === '18' ? 'Anna first.' : undefined))
  answers.push('18 4321', '17 1234')
  t.match(await own.signIn(never), { id: '17' })
  t.match(asked, [{ purpose: 'signIn' }, { problem: 'Anna first.' }])
  journal.close()
})

t.test('a supervisor agrees with their own code; a courier cannot', async (t) => {
  const { session: own, asked, answers, journal } = session(t.testdir())
  answers.push('17 1234', '17 1234', '99 999999')
  await own.signIn(never)
  t.equal(await own.authorise('refund', 'wrong parcel', never), '99')
  t.match(asked, [
    {},
    { purpose: 'refund', reason: 'wrong parcel', problem: undefined },
    { problem: /supervisor/ },
  ])
  t.match(own.operator, { id: '17' }, 'the courier stays signed in')
  t.equal(await own.authorise('override', 'x', never), undefined)
  journal.close()
})

t.test('guessing locks the number out, through a restart, and not for ever', async (t) => {
  const folder = t.testdir()
  const clock = testClock()
  let one = session(folder, clock)
  one.answers.push(...Array(3).fill('17 0000'))
  await one.session.signIn(never)
  one.journal.close() // a power cut is no fresh start
  one = session(folder, clock)
  one.answers.push(...Array(MAX_FAILURES - 3).fill('17 0000'), '17 1234', '18 4321')
  t.match(await one.session.signIn(never), { id: '18' }, 'others may sign in')
  t.match(one.asked.at(-1)!.problem, /Wait 15 min/, 'the right code does not help')
  clock.advance(LOCK_OUT_MS)
  one.answers.push('17 1234')
  t.match(await one.session.signIn(never), { id: '17' })
  t.match(one.journal.attempts('17'), { failures: 0, lockedUntilMs: 0 })
  t.match(one.journal.verify(), { sound: true })
  one.journal.close()
})

t.test('a clock set back does not lock for longer than the lock-out says', async (t) => {
  const { session: own, asked, answers, journal, clock } = session(t.testdir())
  answers.push(...Array(MAX_FAILURES).fill('17 0000'))
  await own.signIn(never)
  clock.advance(-3_600_000)
  answers.push('17 1234')
  await own.signIn(never)
  t.match(asked.at(-1)!.problem, /Wait 15 min/)
  clock.advance(LOCK_OUT_MS)
  answers.push('17 1234')
  t.match(await own.signIn(never), { id: '17' })
  journal.close()
})

t.test('two questions at once: the second is not asked', async (t) => {
  const { session: own, answers, journal } = session(t.testdir())
  answers.push('17 1234')
  const [first, second] = await Promise.all([own.signIn(never), own.authorise('refund', 'x', never)])
  t.match(first, { id: '17' })
  t.equal(second, undefined)
  journal.close()
})

t.test('codes: the right one only, and none without a hash', async (t) => {
  const hash = await hashCode(code('123456'), salt)
  t.equal(await codeMatches(hash, code('123456')), true)
  t.equal(await codeMatches(hash, code('123457')), false)
  t.equal(await codeMatches(undefined, code('123456')), false)
  t.notMatch(JSON.stringify(hash), /123456/)
})

t.test('documents: the first fault is named by its key', async (t) => {
  const [anna] = DOCUMENT.operators
  const acquirer = {
    id: 'dev',
    host: 'h',
    port: 5000,
    tls: { serverName: 'h', ca: '-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----' },
    tpdu: { destination: 1, source: 2 },
    nii: '001',
    terminalId: 'TERM0001',
    merchantId: 'M1',
    dialect: 'postern-dev',
    currency: 'EUR',
  }
  const cases: [() => unknown, RegExp][] = [
    [
      () => readMerchantDocument({ ...MERCHANT, currency: 'XXX' }),
      /merchant document: \/currency is none of AED/,
    ],
    [() => readMerchantDocument({ ...MERCHANT, name: '' }), /merchant document: \/name/],
    [() => readMerchantDocument({ ...MERCHANT, extra: 1 }), /merchant document: /],
    [() => readMerchantDocument(null), /merchant document: /],
    [() => readOperatorsDocument({ operators: [anna, anna] }), /\/operators\/1\/id is the number of another/],
    [() => readOperatorsDocument({ operators: [{ ...anna, role: 'boss' }] }), /\/operators\/0\/role/],
    [() => readAcquirersDocument({ acquirers: [] }), /acquirers document: \/acquirers/],
    [() => readAcquirersDocument({ acquirers: [acquirer] }), /\/acquirers\/0\/tls\/ca must be an X.509/],
    [
      () => readAcquirersDocument({ acquirers: [{ ...acquirer, currency: 'XYZ' }] }),
      /\/acquirers\/0\/currency/,
    ],
    [() => readAcquirersDocument({ acquirers: [{ ...acquirer, port: 0 }] }), /\/acquirers\/0\/port/],
    [
      () => readAcquirersDocument({ acquirers: [{ ...acquirer, terminalId: 'T1' }] }),
      /\/acquirers\/0\/terminalId/,
    ],
  ]
  for (const [read, message] of cases) t.throws(read, { code: 'DOCUMENT_INVALID', message }, String(message))
  t.match(readMerchantDocument(MERCHANT), { name: 'Postern Parcels' })
})
