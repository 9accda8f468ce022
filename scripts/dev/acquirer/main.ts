// The development acquirer's process: `main.js CONFIG.json`; one JSON line on standard output when it is ready.
import { createLog } from '../../../hal/base/pino-log.js'
import { readAcquirerConfig } from './config.js'
import { startAcquirer } from './start-acquirer.js'

const [path, ...rest] = process.argv.slice(2)
if (path === undefined || rest.length > 0) {
  console.error('usage: acquirer CONFIG.json')
  process.exit(2)
}

const log = createLog('acquirer')
const acquirer = await startAcquirer(readAcquirerConfig(path), log)
let closing = false
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (closing) return
    closing = true
    void acquirer.close().then(() => process.exit(0))
  })
}
console.log(JSON.stringify({ ready: true, port: acquirer.port, queryPort: acquirer.queryPort ?? null }))
