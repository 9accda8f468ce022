// The report of a hardware test: its words, its signature, its paper.
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { erase } from '../../hal/base/bytes.js'
import { PosternError } from '../../hal/base/errors.js'
import type { KeyStore } from '../../runtime/secure/keys/key-store.js'

const Text = Type.String({ maxLength: 1024 })
const Step = Type.Object({
  name: Text,
  outcome: Type.Enum(['passed', 'failed', 'unseen']),
  detail: Type.Optional(Text),
})
export const HardwareReport = Type.Object({
  kind: Type.Literal('postern-hardware-report'),
  version: Type.Literal(1),
  board: Text,
  at: Text,
  host: Type.Object({ name: Text, machine: Text, kernel: Text, node: Text }),
  /** Whose key signs: the terminal's own, out of its key store, or one that is for development. */
  signer: Type.Enum(['device', 'development']),
  problems: Type.Array(Text, { maxItems: 64 }),
  devices: Type.Array(
    Type.Object({
      id: Text,
      class: Text,
      driver: Text,
      outcome: Type.Enum(['passed', 'failed', 'unseen', 'not tested']),
      steps: Type.Array(Step, { maxItems: 64 }),
      statistics: Type.Record(Type.String(), Type.Number()),
    }),
    { maxItems: 32 },
  ),
  outcome: Type.Enum(['passed', 'failed', 'unseen']),
})
export type HardwareReport = Static<typeof HardwareReport>
export type ReportedDevice = HardwareReport['devices'][number]

/** A signed report: the body is the report's JSON, byte for byte as it was signed (Ed25519). */
const SignedReport = Type.Object({
  body: Type.String({ maxLength: 1 << 20 }),
  key: Type.String({ maxLength: 256 }),
  signature: Type.String({ maxLength: 256 }),
})
export type SignedReport = Static<typeof SignedReport>

/** The worst of all: a failure, else what nobody looked at. */
export function worst(outcomes: readonly string[]): 'passed' | 'failed' | 'unseen' {
  if (outcomes.length === 0 || outcomes.some((each) => each === 'failed' || each === 'not tested'))
    return 'failed'
  return outcomes.includes('unseen') ? 'unseen' : 'passed'
}

/** Names a public key: the first 16 hex digits of the SHA-256 of its DER. */
export function fingerprint(key: KeyObject): string {
  const der = key.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(der).digest('hex').slice(0, 16).toUpperCase()
}

export function signReport(report: HardwareReport, key: KeyObject): SignedReport {
  const body = JSON.stringify(report)
  return {
    body,
    key: createPublicKey(key).export({ type: 'spki', format: 'der' }).toString('base64'),
    signature: sign(null, Buffer.from(body), key).toString('base64'),
  }
}

/**
 * Checks signature and form; with `trusted` also whose it is.
 * @throws PosternError `REPORT_REFUSED` saying why
 */
export function verifyReport(json: unknown, trusted?: KeyObject): { report: HardwareReport; key: string } {
  const refuse = (why: string, cause?: unknown) => new PosternError('REPORT_REFUSED', why, {}, cause)
  if (!Value.Check(SignedReport, json)) throw refuse('this is no signed hardware report')
  let key: KeyObject
  try {
    key = createPublicKey({ key: Buffer.from(json.key, 'base64'), type: 'spki', format: 'der' })
  } catch (cause) {
    throw refuse('the key in the report is none', cause)
  }
  if (trusted !== undefined && fingerprint(trusted) !== fingerprint(key))
    throw refuse(`signed by ${fingerprint(key)}, not by ${fingerprint(trusted)}`)
  const good =
    key.asymmetricKeyType === 'ed25519' &&
    verify(null, Buffer.from(json.body), key, Buffer.from(json.signature, 'base64'))
  if (!good) throw refuse('the signature does not hold: the report was changed')
  const report: unknown = JSON.parse(json.body)
  if (!Value.Check(HardwareReport, report))
    throw refuse('the report is of a form that this release does not know')
  return { report, key: fingerprint(key) }
}

/** The record of the terminal's key store that holds the key. */
const RECORD = 'hardware-report'

function newKey(): KeyObject {
  return generateKeyPairSync('ed25519').privateKey
}

/** The terminal's own key: made at the first report, sealed in its key store, and never outside. */
export async function deviceKey(store: KeyStore): Promise<KeyObject> {
  const stored = await store.read(RECORD)
  if (stored === undefined) {
    const key = newKey()
    const der = new Uint8Array(key.export({ type: 'pkcs8', format: 'der' }))
    try {
      await store.write(RECORD, der)
    } finally {
      erase(der)
    }
    return key
  }
  try {
    return createPrivateKey({ key: Buffer.from(stored.secret), type: 'pkcs8', format: 'der' })
  } finally {
    erase(stored.secret)
  }
}

/** A key for benches without a terminal: a file of mode 0600, made where there is none. */
export function developmentKey(path: string): KeyObject {
  if (existsSync(path)) return createPrivateKey(readFileSync(path))
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const key = newKey()
  writeFileSync(path, key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  chmodSync(path, 0o600)
  return key
}

const MARKS = { passed: 'ok', failed: 'FAILED', unseen: 'not seen', 'not tested': 'not tested' } as const

/** The report in lines of ASCII, for paper and console; what the paper says can be held against the signed file. */
export function reportLines(report: HardwareReport, signed: SignedReport): string[] {
  const key = createPublicKey({ key: Buffer.from(signed.key, 'base64'), type: 'spki', format: 'der' })
  const digest = createHash('sha256').update(signed.body).digest('hex').slice(0, 16).toUpperCase()
  return [
    'HARDWARE REPORT',
    report.board,
    report.at,
    `${report.host.name} ${report.host.machine} Node ${report.host.node}`,
    '',
    ...report.devices.flatMap((device) => [
      `${device.id} (${device.driver}): ${MARKS[device.outcome]}`,
      ...device.steps
        .filter(({ outcome, detail }) => outcome !== 'passed' || detail !== undefined)
        .map(({ name, outcome, detail }) => `  ${name}: ${detail ?? MARKS[outcome]}`),
    ]),
    ...report.problems.map((problem) => `! ${problem}`),
    '',
    `Result: ${MARKS[report.outcome]}`,
    `Report ${digest}`,
    `Key ${fingerprint(key)} (${report.signer})`,
  ]
}
