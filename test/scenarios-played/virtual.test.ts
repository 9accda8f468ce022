// Every scenario on the virtual handheld, through all processes.
import t from 'tap'
import { playAll } from './play.js'

t.setTimeout(1_200_000)
await playAll(t, 'virtual-handheld')
