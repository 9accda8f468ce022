// The courier's app as its host starts it: in its own folder, connected over file descriptor 3.
import { runCourier } from './courier.js'
import { readTables } from './texts.js'

/** What has been answered leaves the pipe before the process ends. */
const END_MS = 50

await runCourier({ tables: readTables(), onStop: () => void setTimeout(() => process.exit(0), END_MS) })
process.exit(0)
