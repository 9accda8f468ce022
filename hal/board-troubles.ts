// What of a board does not work, as lines for people: problems of its profile, and devices that are not there now.
import type { BoardProblem } from './board.js'
import type { Device } from './device.js'

/** Lines in all, and characters of one. */
export const MAX_TROUBLES = 8
export const MAX_TROUBLE_LENGTH = 160

/** Calls `onChange` now and whenever a device goes or comes. Returns what ends it. */
export function watchTroubles(
  devices: readonly Device<string, unknown>[],
  problems: readonly BoardProblem[],
  onChange: (lines: readonly string[]) => void,
): () => void {
  const fixed = problems.map(({ key, value }) => `${key || 'profile'} ${value}`)
  let told: string | undefined
  const tell = () => {
    const lost = devices.flatMap((device) => {
      const { presence, detail } = device.status()
      return presence === 'lost' ? [`${device.id}: ${detail ?? 'not there'}`] : []
    })
    const lines = [...fixed, ...lost].slice(0, MAX_TROUBLES).map((line) => line.slice(0, MAX_TROUBLE_LENGTH))
    if (told === JSON.stringify(lines)) return
    told = JSON.stringify(lines)
    onChange(lines)
  }
  const ends = devices.map((device) => device.on(tell))
  tell()
  return () => {
    for (const end of ends) end()
  }
}
