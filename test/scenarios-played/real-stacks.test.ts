// The scenarios that meet reader or printer, over pcscd with a virtual reader and a printer on a pty at its true speed.
import t from 'tap'
import { pcscStackMissing } from '../../scripts/dev/pcscd.js'
import { playAll } from './play.js'

t.setTimeout(1_200_000)
const missing = pcscStackMissing()
if (missing !== undefined)
  t.test('scenarios over pcscd and a pty printer', { skip: missing }, () => Promise.resolve())
else {
  await playAll(t, 'virtual-handheld-pcsc', [
    'card-pulled',
    'chinese',
    'courier-card',
    'paper-out',
    'power-cut',
    'voided',
  ])
}
