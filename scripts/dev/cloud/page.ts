// The cloud's page and its state as JSON, read-only, on loopback.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { packageRoot } from '../../../hal/base/package-root.js'

const FOLDER = join(packageRoot, 'scripts/dev/cloud/page')
const FILES: Readonly<Record<string, readonly [file: string, type: string]>> = {
  '/': ['page.html', 'text/html; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
}

/** Serves `GET /` and `GET /state`; resolves with the port. */
export async function servePage(
  { host, port }: { readonly host: string; readonly port: number },
  state: () => unknown,
): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const send = (status: number, type: string, body: string | Buffer) =>
      response
        .writeHead(status, {
          'content-type': type,
          'cache-control': 'no-store',
          'content-security-policy': "default-src 'self'; img-src data:; frame-ancestors 'none'",
          'x-content-type-options': 'nosniff',
        })
        .end(body)
    // A page elsewhere whose name is pointed at loopback must not read the parcels.
    if (!/^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(request.headers.host ?? ''))
      return send(403, 'text/plain', 'only on loopback\n')
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'text/plain', 'read only\n')
    const path = (request.url ?? '/').split('?')[0]!
    if (path === '/state') return send(200, 'application/json', JSON.stringify(state()))
    const file = Object.hasOwn(FILES, path) ? FILES[path] : undefined
    if (file === undefined) return send(404, 'text/plain', 'no such page\n')
    return send(200, file[1], readFileSync(join(FOLDER, file[0])))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
