// Every scenario with the simulated certified module: `npm run test:module`, as it takes minutes that `npm test` has not.
import t from 'tap'
import { playAll } from './play.js'

t.setTimeout(1_200_000)
await playAll(t, 'virtual-handheld-module')
