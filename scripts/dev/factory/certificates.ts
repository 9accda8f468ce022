// Development certificates: one authority, a server certificate for each service, a client certificate for the terminal.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PosternError } from '../../../hal/base/errors.js'

export interface CertificateFiles {
  readonly cert: string
  readonly key: string
}

function openssl(args: readonly string[]): void {
  try {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 30_000 })
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    const why = missing
      ? 'openssl is not installed: apt-get install openssl'
      : String((cause as { stderr?: Buffer }).stderr)
    throw new PosternError('CERTIFICATE_FAILED', why, {}, cause)
  }
}

/** An authority of EC P-256 keys in `folder`, made once. Subject and lifetime say that it is for development. */
export function developmentAuthority(folder: string): {
  /** PEM file of the authority's certificate. */
  readonly ca: string
  /** Issues (once) `<name>.crt` and `<name>.key`; a server is also valid for loopback. */
  issue(name: string, commonName: string, use: 'server' | 'client'): CertificateFiles
} {
  mkdirSync(folder, { recursive: true })
  const ca = join(folder, 'ca.crt')
  const caKey = join(folder, 'ca.key')
  if (!existsSync(ca)) {
    openssl([
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '825',
      '-subj',
      '/O=Postern development/CN=Postern development authority',
      '-keyout',
      caKey,
      '-out',
      ca,
    ])
  }
  return {
    ca,
    issue(name, commonName, use) {
      const cert = join(folder, `${name}.crt`)
      const key = join(folder, `${name}.key`)
      if (existsSync(cert)) return { cert, key }
      const scratch = mkdtempSync(join(tmpdir(), 'postern-certificate-'))
      try {
        const request = join(scratch, 'request.csr')
        const extensions = join(scratch, 'extensions.cnf')
        const names = use === 'server' ? '\nsubjectAltName=DNS:localhost,IP:127.0.0.1' : ''
        writeFileSync(
          extensions,
          `basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=${use}Auth${names}\n`,
        )
        openssl([
          'req',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:P-256',
          '-nodes',
          '-subj',
          `/O=Postern development/CN=${commonName}`,
          '-keyout',
          key,
          '-out',
          request,
        ])
        openssl([
          'x509',
          '-req',
          '-in',
          request,
          '-CA',
          ca,
          '-CAkey',
          caKey,
          '-CAcreateserial',
          '-days',
          '397',
          '-extfile',
          extensions,
          '-out',
          cert,
        ])
      } finally {
        rmSync(scratch, { recursive: true, force: true })
      }
      return { cert, key }
    },
  }
}
