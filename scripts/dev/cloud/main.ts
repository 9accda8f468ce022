// The development cloud's process: `main.js CONFIG.json`; one JSON line on standard output when it is ready.
import { systemClock, systemRandom } from '../../../hal/base/clock.js'
import { createLog } from '../../../hal/base/pino-log.js'
import { readCloudConfig } from './config.js'
import { startCloud } from './start-cloud.js'

const [path, ...rest] = process.argv.slice(2)
if (path === undefined || rest.length > 0) {
  console.error('usage: cloud CONFIG.json')
  process.exit(2)
}

const cloud = await startCloud(readCloudConfig(path), {
  clock: systemClock,
  random: systemRandom,
  log: createLog('cloud'),
})
let closing = false
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (closing) return
    closing = true
    setTimeout(() => process.exit(0), 3000).unref()
    void cloud.close().then(() => process.exit(0))
  })
}
console.log(JSON.stringify({ ready: true, mqttPort: cloud.mqttPort, httpPort: cloud.httpPort }))
