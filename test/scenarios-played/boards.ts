// Every scenario on every board that has other hardware: `npm run test:boards`, as it takes minutes that `npm test` has not.
import t from 'tap'
import { pcscStackMissing } from '../../scripts/dev/pcscd.js'
import { scenarioNames } from '../../scripts/dev/scenarios/scenario.js'
import { playAll } from './play.js'

t.setTimeout(1_800_000)
/** What a module that holds display and PIN pad can not play, and why. */
const NOT_WITH_A_MODULE: Readonly<Record<string, string>> = {
  'offline-sale': 'the module holds the display, so that nobody can be asked about the risk',
  'printer-unplugged':
    "while the module asks for the card the screen is its own: the printer's state is told afterwards",
  'typed-card': 'the module takes no typed numbers, and ours never come near the secure world beside it',
}
t.test('with the simulated certified module', async (t) => {
  for (const [name, skip] of Object.entries(NOT_WITH_A_MODULE))
    t.test(name, { skip }, () => Promise.resolve())
  const others = scenarioNames().filter((name) => NOT_WITH_A_MODULE[name] === undefined)
  await playAll(t, 'virtual-handheld-module', others)
})
const missing = pcscStackMissing()
t.test('over pcscd and a pty printer', { skip: missing ?? false }, async (t) => {
  t.test(
    'reader-unplugged',
    { skip: 'its card is moved by hand at moments that a virtual reader tells otherwise' },
    () => Promise.resolve(),
  )
  const others = scenarioNames().filter((name) => name !== 'reader-unplugged')
  await playAll(t, 'virtual-handheld-pcsc', others)
})
