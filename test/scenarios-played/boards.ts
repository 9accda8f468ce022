// Every scenario on every board that has other hardware: `npm run test:boards`, as it takes minutes that `npm test` has not.
import t from 'tap'
import { pcscStackMissing } from '../../scripts/dev/pcscd.js'
import { scenarioNames } from '../../scripts/dev/scenarios/scenario.js'
import { playAll } from './play.js'

t.setTimeout(1_800_000)
/** Asks the courier something while the card is in: a module that holds the display has no such prompt. */
const ASKS_DURING_CARD = 'offline-sale'
t.test('with the simulated certified module', async (t) => {
  t.test(
    ASKS_DURING_CARD,
    { skip: 'the module holds the display, so that nobody can be asked about the risk' },
    () => Promise.resolve(),
  )
  const others = scenarioNames().filter((name) => name !== ASKS_DURING_CARD)
  await playAll(t, 'virtual-handheld-module', others)
})
const missing = pcscStackMissing()
t.test('over pcscd and a pty printer', { skip: missing ?? false }, (t) => playAll(t, 'virtual-handheld-pcsc'))
