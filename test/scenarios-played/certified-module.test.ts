// The scenarios in which the card side differs, with the simulated certified module in the place of reader, kernel and PIN.
import t from 'tap'
import { playAll } from './play.js'

t.setTimeout(1_200_000)
await playAll(t, 'virtual-handheld-module', [
  'card-pulled',
  'courier-card',
  'power-cut',
  'wrong-pin-then-right',
])
