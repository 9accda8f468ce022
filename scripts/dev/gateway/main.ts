// The development gateway's process: `main.js CONFIG.json`; one JSON line on standard output when it is ready.
import { createLog } from '../../../hal/base/pino-log.js'
import { readGatewayConfig } from './config.js'
import { startGateway } from './start-gateway.js'

const [path, ...rest] = process.argv.slice(2)
if (path === undefined || rest.length > 0) {
  console.error('usage: gateway CONFIG.json')
  process.exit(2)
}

const gateway = await startGateway(readGatewayConfig(path), createLog('gateway'))
let closing = false
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (closing) return
    closing = true
    void gateway.close().then(() => process.exit(0))
  })
}
console.log(JSON.stringify({ ready: true }))
