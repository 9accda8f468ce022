// Secure elements in software for tests: a TPM (swtpm) with signed measurements, and a PKCS#11 token (SoftHSM2).
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fromHex } from '../../../hal/base/bytes.js'
import type { Measurements } from '../../../hal/drivers/tpm2/measurements.js'
import { signMeasurement } from '../../../scripts/key-room/sign-measurements.js'
import { eventually } from '../conformance/support.js'

const SOFTHSM = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib64/pkcs11/libsofthsm2.so'].find(existsSync)

function has(command: string): boolean {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore', timeout: 10_000 })
    return true
  } catch {
    return false
  }
}

/** Why these tests cannot run here; undefined where they can. */
export function missingTpm(): string | undefined {
  const missing = [
    ['swtpm', 'swtpm'],
    ['tpm2_getrandom', 'tpm2-tools'],
  ].filter(([command]) => !has(command!))
  return missing.length === 0 ? undefined : `not installed: ${missing.map(([, name]) => name).join(', ')}`
}

export async function missingToken(): Promise<string | undefined> {
  if (SOFTHSM === undefined || !has('softhsm2-util')) return 'not installed: softhsm2'
  try {
    await import('pkcs11js')
    return undefined
  } catch {
    return 'pkcs11js was not built here'
  }
}

/** The measured boots that a test plays: PCR 7 as it starts, and extended by a byte pattern. */
export const PCRS = [0, 7]

export interface SoftTpm {
  readonly tcti: string
  /** Measures another image into PCR 7. */
  extend(digest: string): void
  stop(): Promise<void>
}

export async function startTpm(folder: string): Promise<SoftTpm> {
  mkdirSync(folder, { recursive: true })
  const socket = join(folder, 'tpm.sock')
  const child: ChildProcess = spawn(
    'swtpm',
    [
      'socket',
      '--tpm2',
      '--tpmstate',
      `dir=${folder}`,
      '--server',
      `type=unixio,path=${socket}`,
      '--ctrl',
      `type=unixio,path=${socket}.ctrl`,
      '--flags',
      'not-need-init,startup-clear',
    ],
    { stdio: 'ignore' },
  )
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const tcti = `swtpm:path=${socket}`
  await eventually('swtpm listens', () => existsSync(socket) && existsSync(`${socket}.ctrl`), 30_000)
  return {
    tcti,
    extend(digest) {
      execFileSync('tpm2_pcrextend', [`7:sha256=${digest}`], {
        env: { ...process.env, TPM2TOOLS_TCTI: tcti },
        timeout: 30_000,
      })
    },
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** A release key and what it signs. */
export function releaseSigner(folder: string) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const releaseKey = join(folder, 'release.pem')
  const measurements = join(folder, 'measurements.json')
  writeFileSync(releaseKey, publicKey.export({ type: 'spki', format: 'pem' }))
  return {
    releaseKey,
    measurements,
    /** Publishes the list for releases, each as the value that PCR 7 has under it; PCR 0 is zero. */
    publish(releases: Readonly<Record<string, string>>): void {
      const approved: Measurements['approved'] = Object.entries(releases).map(([release, pcr7]) =>
        signMeasurement(privateKey, release, PCRS, [new Uint8Array(32), fromHex(pcr7)]),
      )
      writeFileSync(measurements, JSON.stringify({ approved }))
    },
  }
}

/** A token in a folder of its own; the process must have been told of the folder by `softHsmFolder`. */
export function makeToken(folder: string, label: string) {
  const pinFile = join(folder, `${label}.pin`)
  writeFileSync(pinFile, '471147\n', { mode: 0o600 })
  execFileSync(
    'softhsm2-util',
    ['--init-token', '--free', '--label', label, '--pin', '471147', '--so-pin', '08150815'],
    { stdio: 'ignore', timeout: 30_000 },
  )
  return { library: SOFTHSM!, tokenLabel: label, pinFile }
}

/** SoftHSM2 reads its folder once a process. */
export function softHsmFolder(folder: string): void {
  mkdirSync(join(folder, 'tokens'), { recursive: true })
  const path = join(folder, 'softhsm2.conf')
  writeFileSync(
    path,
    `directories.tokendir = ${join(folder, 'tokens')}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  )
  process.env['SOFTHSM2_CONF'] = path
}
