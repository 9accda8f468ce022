// The body that a board profile asks for: panel and keys of the virtual handheld are those of its profile.
import type { BoardProfile } from '../board.js'
import type { DisplayCapabilities } from '../display.js'
import type { Key } from '../keypad.js'
import type { HardwareOptions } from './hardware.js'

/** Options for `createSimulatedHardware`, from the profile's simulated display and keypad. */
export function hardwareOptionsOf(
  profile: BoardProfile,
): Pick<HardwareOptions, 'display' | 'keys' | 'matrix'> {
  const optionsOf = (deviceClass: string) =>
    profile.devices.find((device) => device.deviceClass === deviceClass && device.driver === 'simulated')
      ?.options
  const display = optionsOf('display')
  const keypad = optionsOf('keypad')
  return {
    // The driver's schema has checked these.
    ...(display === undefined
      ? {}
      : {
          display: {
            width: display['width'],
            height: display['height'],
            depth: display['depth'],
            dpi: display['dpi'],
          } as DisplayCapabilities,
        }),
    ...(keypad?.['keys'] === undefined ? {} : { keys: keypad['keys'] as readonly Key[] }),
    ...(keypad?.['matrix'] === undefined
      ? {}
      : { matrix: keypad['matrix'] as readonly (readonly (Key | null)[])[] }),
  }
}
