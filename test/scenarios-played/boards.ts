// Every scenario on every board that has other hardware: `npm run test:boards`, as it takes minutes that `npm test` has not.
import t, { type Test } from 'tap'
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
/** Faults of the simulated cables; those of the real stack are pulled in `test/stack` (pcsc, serial-printer). */
const NOT_OVER_REAL_WIRES: Readonly<Record<string, string>> = {
  'printer-unplugged': "pulls the simulated printer's cable, not the pty's",
  'reader-unplugged': "pulls the simulated reader's cable, not pcscd's",
}

/** Plays all but `left`, each of which is a named skip. */
async function playOn(t: Test, board: string, left: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, skip] of Object.entries(left)) t.test(name, { skip }, () => Promise.resolve())
  const others = scenarioNames().filter((name) => left[name] === undefined)
  await playAll(t, board, others)
}

t.test('with the simulated certified module', (t) => playOn(t, 'virtual-handheld-module', NOT_WITH_A_MODULE))
const missing = pcscStackMissing()
t.test('over pcscd and a pty printer', { skip: missing ?? false }, (t) =>
  playOn(t, 'virtual-handheld-pcsc', NOT_OVER_REAL_WIRES),
)
