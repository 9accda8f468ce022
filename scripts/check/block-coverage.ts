// Which blocks of the built runtime have run, asked of V8 in this very process; the feedback of coverage-guided fuzzing.
import { Session } from 'node:inspector/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageRoot } from '../../hal/base/package-root.js'

/** Blocks that ran since the last question: a name for each, and how often at most one of them did. */
export interface BlocksRun {
  readonly blocks: readonly string[]
  readonly most: number
}

export interface BlockCoverage {
  take(): Promise<BlocksRun>
  stop(): void
}

/** Starts counting; the session ends with `stop`. Folders outside of `hal` and `runtime` are left out. */
export async function startBlockCoverage(): Promise<BlockCoverage> {
  const rooms = ['hal', 'runtime'].map((room) => pathToFileURL(join(packageRoot, 'dist', room, '/')).href)
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  return {
    async take() {
      const { result } = await session.post('Profiler.takePreciseCoverage')
      const blocks: string[] = []
      let most = 0
      for (const { url, functions } of result) {
        if (!rooms.some((room) => url.startsWith(room))) continue
        for (const { ranges } of functions)
          for (const { startOffset, endOffset, count } of ranges) {
            if (count === 0) continue
            blocks.push(`${url}:${startOffset}-${endOffset}`)
            most = Math.max(most, count)
          }
      }
      return { blocks, most }
    },
    stop: () => session.disconnect(),
  }
}
