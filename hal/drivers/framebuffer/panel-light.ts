// Light of a panel: its backlight (/sys/class/backlight, Documentation/ABI/stable/sysfs-class-backlight) and the framebuffer's blanking.
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { deviceError } from '../../device-base.js'
import type { KernelRoots } from './framebuffer-info.js'

/** FB_BLANK_UNBLANK and FB_BLANK_POWERDOWN of linux/fb.h, which bl_power knows too. */
const AWAKE = '0'
const ASLEEP = '4'

export interface LightSettings {
  /** Name under /sys/class/backlight; the first one where it is undefined. */
  readonly backlight: string | undefined
  /** Percent of the backlight's most. */
  readonly brightness: number
  readonly dimBrightness: number
}

/** Sets attributes; tells which can't be set and why. An attribute that isn't there is left alone. */
async function set(folder: string, attributes: readonly (readonly [string, string])[]): Promise<number> {
  let done = 0
  for (const [name, value] of attributes) {
    const path = join(folder, name)
    try {
      await writeFile(path, `${value}\n`, { flag: 'r+' })
      done++
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EACCES' || code === 'EPERM') {
        throw deviceError(
          'DEVICE_UNSUPPORTED',
          `${path} may not be written by this user: let a udev rule give it the group video`,
          { path },
          error,
        )
      }
      // Drivers without blanking refuse it; a backlight often has no bl_power.
    }
  }
  return done
}

/**
 * Lights the panel. Sleep darkens the backlight and powers the panel down; waking is the other way round.
 * @throws DeviceError `DEVICE_UNSUPPORTED` where this user may not, or the panel has neither backlight nor blanking
 */
export async function setPanelLight(
  level: 'on' | 'dim' | 'off',
  framebuffer: number,
  settings: LightSettings,
  roots: KernelRoots,
): Promise<void> {
  const panel = join(roots.sys, 'class', 'graphics', `fb${framebuffer}`)
  const light = findBacklight(settings.backlight, roots)
  const most = light === undefined ? 0 : Number(readFileSync(join(light, 'max_brightness'), 'utf8'))
  const percent = level === 'dim' ? settings.dimBrightness : settings.brightness
  // A panel that is on is never dark, however coarse its steps.
  const brightness = String(Math.max(1, Math.round((most * percent) / 100)))

  let done = 0
  if (level === 'off') {
    if (light !== undefined)
      done += await set(light, [
        ['brightness', '0'],
        ['bl_power', ASLEEP],
      ])
    done += await set(panel, [['blank', ASLEEP]])
  } else {
    done += await set(panel, [['blank', AWAKE]])
    if (light !== undefined)
      done += await set(light, [
        ['bl_power', AWAKE],
        ['brightness', brightness],
      ])
  }
  if (done === 0 && level !== 'on')
    throw deviceError('DEVICE_UNSUPPORTED', `fb${framebuffer} has neither a backlight nor blanking`)
}

function findBacklight(name: string | undefined, roots: KernelRoots): string | undefined {
  const folder = join(roots.sys, 'class', 'backlight')
  try {
    const found = readdirSync(folder).sort()
    const chosen = name === undefined ? found[0] : found.find((each) => each === name)
    if (chosen !== undefined) return join(folder, chosen)
    if (name === undefined) return undefined
    throw deviceError('DEVICE_UNSUPPORTED', `no backlight ${name}; there are ${found.join(', ') || 'none'}`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
