// An app that is ready and then serves nothing in time, and does not want to end.
import { Socket } from 'node:net'

process.on('SIGTERM', () => undefined)
const stream = new Socket({ fd: 3 })
stream.resume()
stream.write('{"jsonrpc":"2.0","id":1,"method":"app.ready"}\n')
setInterval(() => undefined, 1000)
