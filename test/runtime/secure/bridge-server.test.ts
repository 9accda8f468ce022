// The secure world's end of the bridge: who is connected, what becomes of the one before, and faults that nobody may miss.
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Log } from '../../../hal/base/log.js'
import { connectContract } from '../../../runtime/api/contract.js'
import { OpenMethods, SecureMethods } from '../../../runtime/bridge/contract.js'
import { serveBridge } from '../../../runtime/secure/bridge-server.js'
import { createBridgePipes } from '../../../runtime/secure/payments/roads/bridge-pipe.js'
import { until } from '../socket-pair.js'

t.test(
  'a second open world replaces the first: its pipes end before the new one counts from 1 again',
  async (t) => {
    // Not in the test's own folder: a unix socket's path has at most 107 bytes.
    const folder = mkdtempSync(join(tmpdir(), 'postern-bridge-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    const socketPath = join(folder, 'bridge.sock')
    const changes: boolean[] = []
    const events: { event: string; fields: Record<string, unknown> | undefined }[] = []
    const note = (event: string, fields?: Record<string, unknown>) => void events.push({ event, fields })
    const log: Log = { debug: note, info: note, warn: note, error: note }
    const pipes = createBridgePipes(() => (bridge.connected() ? bridge.open : undefined))
    const bridge = await serveBridge({
      socketPath,
      mode: 0o600,
      log,
      serve: {
        ...pipes.methods,
        'round.totals': () => {
          throw new TypeError('a fault of ours')
        },
      } as never,
      onConnected(connected) {
        changes.push(connected)
        if (!connected) pipes.disconnected()
      },
    })
    t.equal(statSync(socketPath).mode & 0o777, 0o600)
    const connectOne = () =>
      connectContract(
        connect(socketPath),
        OpenMethods,
        { 'pipe.open': () => ({ pipe: 1 }), 'pipe.close': () => null } as never,
        SecureMethods,
      )
    const never = new AbortController().signal

    const first = connectOne()
    await until('the first is there', () => bridge.connected())
    const old = await pipes.open('host', 1, never)
    const second = connectOne()
    t.match(await first.peer.closed, /gone/)
    await until('the second is there', () => changes.length === 3)
    t.strictSame(changes, [true, false, true])
    t.ok(old.destroyed, 'what was under way over the first has ended')

    const pipe = await pipes.open('host', 1, never)
    const read = once(pipe, 'data')
    await second.remote['pipe.data']({ pipe: 1, data: Buffer.from('hello').toString('base64') })
    t.equal(String((await read)[0]), 'hello', 'the same number is the new pipe')

    await t.rejects(second.remote['round.totals'](null), { code: 'INTERNAL', message: 'round.totals failed' })
    const fault = events.find(({ event }) => event === 'bridge.fault')
    t.match(fault?.fields, { method: 'round.totals', error: { message: 'a fault of ours' } })
    second.peer.close()
    await until('nobody is there', () => !bridge.connected())
    t.strictSame(changes, [true, false, true, false])
    await bridge.close()
  },
)
