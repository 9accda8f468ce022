// Every scenario on every board that has other hardware: `npm run test:boards`, as it takes minutes that `npm test` has not.
import t from 'tap'
import { pcscStackMissing } from '../../scripts/dev/pcscd.js'
import { playAll } from './play.js'

t.setTimeout(1_800_000)
t.test('with the simulated certified module', (t) => playAll(t, 'virtual-handheld-module'))
const missing = pcscStackMissing()
t.test('over pcscd and a pty printer', { skip: missing ?? false }, (t) => playAll(t, 'virtual-handheld-pcsc'))
