// Card data and PIN go under the keys of whoever the rules send this card to: by BIN, AID, kind and amount, and no other's.
import t from 'tap'
import { ascii, fromHex, toHex } from '../../../../hal/base/bytes.js'
import { systemRandom } from '../../../../hal/base/clock.js'
import { money } from '../../../../hal/base/money.js'
import { deriveInitialKey } from '../../../../runtime/secure/keys/aes-dukpt.js'
import { loadInitialKey } from '../../../../runtime/secure/keys/dukpt-terminal-keys.js'
import { createKeySets } from '../../../../runtime/secure/keys/key-sets.js'
import { routedCardKeys } from '../../../../runtime/secure/keys/routed-card-keys.js'
import { deriveTdesInitialKey } from '../../../../runtime/secure/keys/tdes-dukpt.js'
import type { CardKeys } from '../../../../runtime/secure/keys/terminal-keys.js'
import {
  type AcquirerEntry,
  keyProfile,
  keySetOf,
} from '../../../../runtime/secure/payments/acquirer-document.js'
import type { RouteQuestion } from '../../../../runtime/secure/payments/acquirer-port.js'
import { routedAcquirers } from '../../../../runtime/secure/payments/acquirers.js'
import type { RoutingDocument } from '../../../../runtime/secure/payments/routing-document.js'
import { createHostKeys } from '../../../../scripts/dev/acquirer/host-keys.js'
import { memoryStore, TestHost, testClock } from '../payments/support.js'

const entry = (id: string, keys: AcquirerEntry['keys']) =>
  ({ id, currency: 'EUR', terminalId: `TERM${id}`, capabilities: { refund: true }, keys }) as AcquirerEntry
const ENTRIES = [
  entry('blue', undefined),
  entry('grey', { set: 'grey', scheme: 'tdes', pinBlock: 0, mac: 'retail' }),
  entry('gold', { set: 'gold', scheme: 'aes' }),
  // Another road to the same bank: the same keys.
  entry('both', { set: 'gold', scheme: 'aes' }),
]
const ROUTING: RoutingDocument = {
  rules: [
    { name: 'refunds', when: { kinds: ['refund'] }, acquirers: ['gold'] },
    { name: 'dear', when: { amount: { least: '100000' } }, acquirers: ['gold', 'blue', 'both'] },
    { name: 'domestic', when: { aids: ['D276000025'] }, acquirers: ['grey'] },
    { name: 'eight digits', when: { bins: ['40000000'] }, acquirers: ['grey', 'blue'] },
  ],
  otherwise: ['blue', 'grey', 'gold'],
}
const BASE = { acquirer: '11', grey: '22', gold: '33' } as const
type SetName = keyof typeof BASE

/** Key sets as a terminal has them, each of a base key of its own, and the hosts that hold those. */
async function terminal(folder: string) {
  const store = memoryStore(folder)
  const sets = createKeySets(store, systemRandom)
  const keysOf = new Map<string, CardKeys>()
  for (const one of ENTRIES) {
    const set = keySetOf(one) as SetName
    if (keysOf.has(set)) continue
    const bdk = fromHex(BASE[set].repeat(16))
    const { scheme } = keyProfile(one)
    const ikid = fromHex(scheme === 'aes' ? `${BASE[set]}00000000000001` : 'FFFF2200000000200000')
    const key = scheme === 'aes' ? deriveInitialKey(bdk, ikid) : deriveTdesInitialKey(bdk, ikid)
    await loadInitialKey(store, set, { scheme, ikid, key }, systemRandom)
    keysOf.set(set, await sets.open(set, keyProfile(one)))
  }
  const hosts = ENTRIES.map(({ id, terminalId }) => new TestHost(id, terminalId))
  return {
    hosts,
    keysOf,
    acquirers: routedAcquirers(hosts, ENTRIES, ROUTING, testClock()),
    close: () => sets.close(),
  }
}

/** Who can read it: the hosts of every set try. */
function readers(read: (host: ReturnType<typeof createHostKeys>) => Uint8Array, want: Uint8Array): string[] {
  return (Object.keys(BASE) as SetName[]).filter((set) => {
    const bdk = fromHex(BASE[set].repeat(16))
    try {
      return toHex(read(createHostKeys({ aes: bdk, tdes: bdk }))) === toHex(want)
    } catch {
      return false
    }
  })
}

t.test(
  'each card goes under the keys of the acquirer that takes it, and no other host can read it',
  async (t) => {
    const { keysOf, acquirers, close } = await terminal(t.testdir())
    t.teardown(close)
    const VISA = 'A0000000031010'
    const rows: [
      what: string,
      kind: RouteQuestion['kind'],
      minor: bigint,
      pan: string,
      aid: string,
      id: string,
      set: SetName,
    ][] = [
      ['no rule', 'sale', 1250n, '4761739001010119', VISA, 'blue', 'acquirer'],
      ['the application', 'sale', 1250n, '4761739001010119', 'D27600002501', 'grey', 'grey'],
      ['eight digits of a BIN', 'sale', 1250n, '4000000000000002', VISA, 'grey', 'grey'],
      ['a short number shows six', 'sale', 1250n, '40000000000002', VISA, 'blue', 'acquirer'],
      ['the amount', 'sale', 100_000n, '4761739001010119', VISA, 'gold', 'gold'],
      ['the kind', 'refund', 1250n, '4000000000000002', VISA, 'gold', 'gold'],
      ['a stripe has no application', 'sale', 1250n, '4761739001010119', '', 'blue', 'acquirer'],
    ]
    for (const [what, kind, minor, pan, aid, id, set] of rows) {
      const amount = money(minor, 'EUR')
      const keys = routedCardKeys(
        keysOf.get('acquirer')!,
        (card) => keysOf.get(acquirers.keySetFor({ kind, amount, ...card }))!,
      )
      const track2 = fromHex(`${pan}D301220112345678`.padEnd(Math.ceil((pan.length + 17) / 2) * 2, 'F'))
      const data = await keys.encryptCardData(track2, aid)
      t.same(
        readers((host) => host.decryptCardData(data), track2),
        [set],
        `${what}: card data`,
      )
      const block = await keys.encryptPin(ascii.encode('1234'), ascii.encode(pan), aid)
      t.same(
        readers((host) => host.decryptPin(block, ascii.encode(pan)), ascii.encode('1234')),
        [set],
        `${what}: PIN`,
      )
      const bin = pan.slice(0, pan.length >= 16 ? 8 : 6)
      const taken = acquirers.route({ kind, amount, bin, aid })
      t.equal(taken[0]?.id, id, what)
      t.equal(taken[0]?.terminalId, `TERM${id}`, 'under the terminal id that it has there')
      t.same([...new Set(taken.map((one) => keySetOf(ENTRIES.find((entry) => entry.id === one.id)!)))], [set])
    }
  },
)

t.test(
  'fail-over goes to acquirers that can read the card, and the keys do not follow a road that is shut',
  async (t) => {
    const { hosts, keysOf, acquirers, close } = await terminal(t.testdir())
    t.teardown(close)
    const question = { kind: 'sale', amount: money(100_000n, 'EUR') } as const
    const card = { bin: '47617390', aid: 'A0000000031010' }
    t.same(
      acquirers.route(question).map(({ id }) => id),
      ['gold', 'blue', 'both'],
      'nothing is enciphered yet',
    )
    t.same(
      acquirers.route({ ...question, ...card }).map(({ id }) => id),
      ['gold', 'both'],
    )
    hosts.find(({ id }) => id === 'gold')!.reachable = false
    const gold = acquirers.route({ ...question, ...card })[0]!
    await gold.reverse({} as never, () => undefined, new AbortController().signal)
    t.equal(acquirers.keySetFor({ ...question, ...card }), 'gold')
    t.same(
      acquirers.route({ ...question, ...card }).map(({ id }) => id),
      ['both', 'gold'],
      'the other road to the same bank, never another bank',
    )
    const pan = ascii.encode('4761739001010119')
    const keys = routedCardKeys(keysOf.get('acquirer')!, () => keysOf.get('gold')!)
    t.equal(
      await keys.cardToken(pan),
      await keysOf.get('acquirer')!.cardToken(pan),
      'sums per card add up over acquirers',
    )
  },
)
