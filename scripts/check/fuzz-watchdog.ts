// The thread beside a fuzz run: an input that never ends is named, which the thread that runs it could not do.

import { writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parentPort, Worker, workerData } from 'node:worker_threads'
import { MAX_INPUT } from './fuzz-mutation.js'

/** Number of the input, its length, its seed; then its bytes. */
const HEAD = 3
/** A run that takes this long at one input has lost its way; the slowest take milliseconds. */
const PATIENCE_MS = 60_000

/** Starts the thread. `watch` is told each input; `stop` ends the thread. */
export function startWatchdog(): {
  watch: (bytes: Uint8Array, seed: number) => void
  stop: () => Promise<number>
} {
  const shared = new SharedArrayBuffer(HEAD * 4 + MAX_INPUT)
  const head = new Int32Array(shared, 0, HEAD)
  const body = new Uint8Array(shared, HEAD * 4)
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: shared })
  worker.unref()
  return {
    watch(bytes, seed) {
      body.set(bytes.subarray(0, MAX_INPUT))
      head[1] = bytes.length
      head[2] = seed
      Atomics.add(head, 0, 1)
    },
    stop: () => worker.terminate(),
  }
}

if (parentPort && workerData instanceof SharedArrayBuffer) {
  const head = new Int32Array(workerData, 0, HEAD)
  const body = new Uint8Array(workerData, HEAD * 4)
  let last = -1
  setInterval(() => {
    const now = Atomics.load(head, 0)
    if (now === last && now > 0) {
      const hex = Buffer.from(body.subarray(0, head[1])).toString('hex')
      // The other thread is stuck: what goes through its event loop would never be seen.
      writeSync(2, `an input did not end within ${PATIENCE_MS} ms: seed ${head[2]}, ${hex || '-'}\n`)
      process.kill(process.pid, 'SIGKILL')
    }
    last = now
  }, PATIENCE_MS)
}
