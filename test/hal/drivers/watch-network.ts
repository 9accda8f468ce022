// Follows a network state in a process of its own, so that it can live in a private network namespace: a line a change.
import { createInterface } from 'node:readline'
import { systemClock } from '../../../hal/base/clock.js'
import type { Log } from '../../../hal/base/log.js'
import type { BoardNetwork } from '../../../hal/board.js'
import { networkSource } from '../../../hal/drivers/network/network-sources.js'
import { openWatchedNetwork } from '../../../hal/drivers/network/watched-network.js'

const say = (event: string, fields: object = {}) => console.log(JSON.stringify({ event, ...fields }))
const log: Log = { debug() {}, info: say, warn: say, error: say }
const network = await openWatchedNetwork(networkSource(JSON.parse(process.argv[2]!) as BoardNetwork), {
  clock: systemClock,
  log,
})
network.on((online) => say('told', { online, same: network.online() === online }))
say('opened', { online: network.online() })
// The end of the input is the end of the test.
for await (const _ of createInterface({ input: process.stdin }));
await network.close()
say('closed')
