// Which sensors have tripped, kept over power cuts until a technician takes the file away.
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { readDurable, writeDurable } from '../../base/durable-file.js'

const Latched = Type.Object(
  { sensors: Type.Array(Type.String({ maxLength: 32 }), { maxItems: 64 }) },
  { additionalProperties: false },
)

export interface TamperLatch {
  /** What was latched; a file that can't be read is a sensor of its own: whoever spoils it clears nothing. */
  sensors(): readonly string[]
  /** Returns when it is on disk. @throws the system's error */
  add(sensor: string): void
}

/** The latch in `path`; the folder is made with the first trip. */
export function openTamperLatch(path: string): TamperLatch {
  const read = (): readonly string[] => {
    if (!existsSync(path) && !existsSync(`${path}.previous`)) return []
    try {
      const bytes = readDurable(path)?.content
      const value: unknown = bytes === undefined ? undefined : JSON.parse(Buffer.from(bytes).toString('utf8'))
      if (Value.Check(Latched, value) && value.sensors.length > 0) return value.sensors
    } catch {
      // Below.
    }
    return ['latch']
  }
  return {
    sensors: read,
    add(sensor) {
      const sensors = read()
      if (sensors.includes(sensor)) return
      writeDurable(path, Buffer.from(JSON.stringify({ sensors: [...sensors, sensor] })))
    },
  }
}

/** The technician's reset: the latch and what it kept of before. Switches that are still open trip again at once. */
export function clearTamperLatch(path: string): void {
  if (!existsSync(dirname(path))) return
  for (const name of readdirSync(dirname(path))) {
    if (name === basename(path) || name.startsWith(`${basename(path)}.`)) rmSync(join(dirname(path), name))
  }
}
