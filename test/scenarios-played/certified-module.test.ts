// Every scenario with a simulated certified module in the place of our reader, kernel and PIN entry.
import t from 'tap'
import { playAll } from './play.js'

t.setTimeout(1_200_000)
await playAll(t, 'virtual-handheld-module')
