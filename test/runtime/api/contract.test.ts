// Contracts: both sides check what crosses, faults name the place, and the tables of this house hold together.
import t from 'tap'
import { Type } from 'typebox'
import { AppMethods, HostMethods } from '../../../runtime/api/app-contract.js'
import { connectHost } from '../../../runtime/api/client.js'
import { checker, connectContract, Nothing } from '../../../runtime/api/contract.js'
import { connectRpc } from '../../../runtime/api/json-rpc.js'
import { OpenMethods, SecureMethods } from '../../../runtime/bridge/contract.js'
import { socketPair } from '../socket-pair.js'

const closed = { additionalProperties: false } as const
const Shop = {
  price: {
    params: Type.Object({ item: Type.String({ maxLength: 5 }), count: Type.Integer({ minimum: 1 }) }, closed),
    result: Type.Object({ minor: Type.String() }, closed),
  },
  ping: { params: Nothing, result: Nothing },
} as const

t.test('parameters are checked where they arrive, results where they are used', async (t) => {
  const [a, b] = await socketPair()
  const asked: unknown[] = []
  const faults: string[] = []
  const { remote, peer } = connectContract(a, {}, {}, Shop)
  connectContract(
    b,
    Shop,
    {
      price: (params) => {
        asked.push(params)
        return params.count === 9 ? ({ minor: 9 } as never) : { minor: `${params.count}00` }
      },
      ping: () => {
        throw new Error('out of order')
      },
    },
    {},
    (method, error) => faults.push(`${method} ${(error as Error).message}`),
  )
  t.same(await remote.price({ item: 'tea', count: 3 }), { minor: '300' })
  await t.rejects(remote.price({ item: 'coffee', count: 3 }), {
    code: 'INVALID_PARAMS',
    message: /^price \/item: /,
  })
  await t.rejects(remote.price({ item: 'tea', count: 0 }), { code: 'INVALID_PARAMS', message: /\/count/ })
  await t.rejects(remote.price({ item: 'tea', count: 1, more: 1 } as never), { code: 'INVALID_PARAMS' })
  await t.rejects(remote.price(undefined as never), { code: 'INVALID_PARAMS' })
  await t.rejects(remote.price({ item: 'tea', count: 9 }), {
    code: 'INVALID_RESULT',
    message: /price answered \/minor/,
  })
  await t.rejects(remote.ping(null), { code: 'INTERNAL' })
  t.same(faults, ['ping out of order'])
  t.equal(asked.length, 2, 'nothing invalid reached the implementation')
  await t.rejects(peer.call('toString', null), { code: 'METHOD_NOT_FOUND' })
  peer.close()
})

t.test('an app connects to its host and both are served', async (t) => {
  const [app, host] = await socketPair()
  const heard: unknown[] = []
  const { host: api } = connectHost(
    {
      'event.context': () => undefined,
      'event.scan': (scan) => void heard.push(scan),
      'event.payment': () => undefined,
      'event.message': () => undefined,
      'app.stop': () => undefined,
    },
    app,
  )
  const served = connectRpc(host, { 'storage.get': (params) => ({ value: params }) })
  t.same(await api['storage.get']({ key: 'k' }), { value: { key: 'k' } })
  await served.call('event.scan', { text: 'WB-1' })
  t.same(heard, [{ text: 'WB-1' }])
  await t.rejects(served.call('event.scan', { text: 7 }), { code: 'INVALID_PARAMS' })
  served.close()
})

t.test('every method of every contract has schemas that compile and refuse nonsense', async (t) => {
  for (const contract of [HostMethods, AppMethods, SecureMethods, OpenMethods]) {
    for (const [name, method] of Object.entries(contract)) {
      t.match(name, /^[a-z]+\.[a-zA-Z]+$/)
      for (const schema of [method.params, method.result]) {
        const check = checker(schema)
        t.type(check({ 'not a member': true, deep: [[[{}]]] }), 'string', `${name} refuses strange members`)
        t.type(check(Symbol.iterator), 'string', `${name} refuses what is not JSON`)
      }
    }
  }
})

t.test('the check names the first fault by path', async (t) => {
  const check = checker(HostMethods['payments.collect'].params)
  const good = { key: 'key-00001', amount: { minor: '1250', currency: 'EUR' }, reference: 'WB-1' }
  t.equal(check(good), undefined)
  t.match(check({ ...good, amount: { minor: '-1', currency: 'EUR' } }), /^\/amount\/minor: /)
  t.match(check({ ...good, amount: { minor: 12, currency: 'EUR' } }), /^\/amount\/minor: /)
  t.match(check({ ...good, key: 'short' }), /^\/key: /)
  t.match(check(null), /^\/: /)
  t.equal(checker(Nothing)(null), undefined)
  t.equal(checker(Nothing)({}), undefined)
  t.type(checker(Nothing)({ a: 1 }), 'string')
})
