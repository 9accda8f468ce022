// The buzzer, as square waves. Browsers stay silent until the page was touched.
import { $ } from './hands.js'

let audio
let last = 'null'
/** Sounds `steps` when they are not the ones that sound already. */
export function sound(steps) {
  const now = JSON.stringify(steps)
  if (now === last) return
  last = now
  if (!steps || !$('sound').checked || !navigator.userActivation?.hasBeenActive) return
  audio ??= new AudioContext()
  let at = audio.currentTime
  for (const { hz, ms } of steps) {
    if (hz > 0) {
      const tone = audio.createOscillator()
      const level = audio.createGain()
      tone.type = 'square'
      tone.frequency.value = hz
      level.gain.value = 0.03
      tone.connect(level).connect(audio.destination)
      tone.start(at)
      tone.stop(at + ms / 1000)
    }
    at += ms / 1000
  }
}
