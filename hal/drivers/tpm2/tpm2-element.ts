// A TPM 2.0 as secure element: data keys sealed to release-signed measurements, and NV counters that only go up.
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ascii, concat, erase, toHex } from '../../base/bytes.js'
import { sha256 } from '../../base/ciphers.js'
import { isPosternError } from '../../base/errors.js'
import type { DriverContext } from '../../board.js'
import { createDeviceBase, deviceError } from '../../device-base.js'
import type { SecureElement } from '../../secure-element.js'
import { checkElementName, checkSecretLength, closeBox, openBox, refusedSeal } from '../sealed-box.js'
import { authorizedPolicy, signatureFor } from './measurements.js'
import { createTpm2Tools, type Tpm2Tools } from './tpm2-tools.js'

export interface Tpm2Options {
  readonly tcti: string
  /** PEM of the key that signs releases' measurements; secrets are sealed to its word. */
  readonly releaseKey: string
  /** The signed list that the running release brought. */
  readonly measurements: string
  /** PCRs of the SHA-256 bank that make up a measurement. */
  readonly pcrs: readonly number[]
}

const VERSION = 1
const DATA_KEY_BYTES = 32
const MAX_PART_BYTES = 1024
const RETRY_MS = 5000
/** Owner's range of NV indices (TCG registry of reserved handles); a counter's name picks its place. */
const NV_BASE = 0x01b5_0000

const label = (name: string) => ascii.encode(`postern tpm2 seal ${VERSION} ${name}`)
const nvIndex = (name: string) =>
  `0x${(NV_BASE + Number.parseInt(toHex(sha256(ascii.encode(name)).slice(0, 2)), 16)).toString(16)}`

/** version | length (2) and bytes of the public part | length (2) and bytes of the private part | box */
function joinParts(publicPart: Uint8Array, privatePart: Uint8Array, box: Uint8Array): Uint8Array {
  const sized = (part: Uint8Array) => concat(Uint8Array.of(part.length >> 8, part.length & 0xff), part)
  return concat(Uint8Array.of(VERSION), sized(publicPart), sized(privatePart), box)
}

function splitParts(sealed: Uint8Array) {
  const part = (at: number) => {
    const length = ((sealed[at] ?? 0) << 8) | (sealed[at + 1] ?? 0)
    if (length > MAX_PART_BYTES || at + 2 + length > sealed.length) throw refusedSeal()
    return { bytes: sealed.subarray(at + 2, at + 2 + length), end: at + 2 + length }
  }
  if (sealed[0] !== VERSION) throw refusedSeal()
  const publicPart = part(1)
  const privatePart = part(publicPart.end)
  return {
    publicPart: publicPart.bytes,
    privatePart: privatePart.bytes,
    box: sealed.subarray(privatePart.end),
  }
}

/** The storage key, made anew from the TPM's seed, and the release key, as contexts in the tools' folder. */
async function prepare(tools: Tpm2Tools, options: Tpm2Options): Promise<void> {
  await tools.run('createprimary', ['-Q', '-C', 'o', '-G', 'ecc', '-c', 'primary.ctx'])
  writeFileSync(join(tools.folder, 'release.pem'), readFileSync(options.releaseKey))
  const load = ['-Q', '-C', 'o', '-G', 'ecc', '-u', 'release.pem', '-c', 'release.ctx', '-n', 'release.name']
  await tools.run('loadexternal', load)
  writeFileSync(
    join(tools.folder, 'authorized.policy'),
    authorizedPolicy(new Uint8Array(readFileSync(join(tools.folder, 'release.name')))),
  )
}

async function sealKey(tools: Tpm2Tools, key: Uint8Array) {
  await tools.run(
    'create',
    [
      '-Q',
      '-C',
      'primary.ctx',
      '-L',
      'authorized.policy',
      '-a',
      'fixedtpm|fixedparent|noda',
      '-i-',
      '-u',
      'k.pub',
      '-r',
      'k.priv',
    ],
    key,
  )
  const read = (name: string) => new Uint8Array(readFileSync(join(tools.folder, name)))
  return { publicPart: read('k.pub'), privatePart: read('k.priv') }
}

/** Part 3, 23.16: the PCRs' policy, the release's ticket for it, then the authorised policy that the key was sealed to. */
async function unsealKey(
  tools: Tpm2Tools,
  options: Tpm2Options,
  publicPart: Uint8Array,
  privatePart: Uint8Array,
) {
  const file = (name: string) => join(tools.folder, name)
  writeFileSync(file('k.pub'), publicPart)
  writeFileSync(file('k.priv'), privatePart)
  await tools.run('load', ['-Q', '-C', 'primary.ctx', '-u', 'k.pub', '-r', 'k.priv', '-c', 'k.ctx'])
  await tools.run('startauthsession', ['-Q', '--policy-session', '-S', 'session.ctx'])
  try {
    const pcrs = `sha256:${options.pcrs.join(',')}`
    await tools.run('policypcr', ['-Q', '-S', 'session.ctx', '-l', pcrs, '-L', 'now.policy'])
    const now = toHex(new Uint8Array(readFileSync(file('now.policy'))))
    writeFileSync(file('now.signature'), signatureFor(options.measurements, now))
    const signature = ['-m', 'now.policy', '-s', 'now.signature', '-f', 'ecdsa', '-t', 'ticket']
    await tools.run('verifysignature', ['-Q', '-c', 'release.ctx', '-g', 'sha256', ...signature])
    const authorize = ['-i', 'now.policy', '-n', 'release.name', '-t', 'ticket']
    await tools.run('policyauthorize', ['-Q', '-S', 'session.ctx', ...authorize])
    return await tools.run('unseal', ['-p', 'session:session.ctx', '-c', 'k.ctx'])
  } finally {
    await tools.run('flushcontext', ['session.ctx']).catch(() => undefined)
  }
}

async function readCounter(tools: Tpm2Tools, index: string): Promise<bigint> {
  const bytes = await tools.run('nvread', [index, '-C', 'o', '-s', '8'])
  if (bytes.length !== 8)
    throw deviceError('DEVICE_PROTOCOL', 'a counter is 8 bytes', { length: bytes.length })
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0)
}

/** A new counter starts above every counter that this TPM ever had (Part 3, 31.3), so that none comes back. */
async function defineCounter(tools: Tpm2Tools, index: string): Promise<void> {
  const attributes = 'ownerread|ownerwrite|authread|authwrite|nt=counter'
  await tools.run('nvdefine', ['-Q', index, '-C', 'o', '-a', attributes])
  await tools.run('nvincrement', [index, '-C', 'o'])
}

export async function openTpm2Element(
  driver: string,
  options: Tpm2Options,
  context: DriverContext,
): Promise<SecureElement> {
  const base = createDeviceBase<'secure-element', 'ready' | 'locked'>(
    context,
    'secure-element',
    driver,
    'ready',
  )
  const tools = createTpm2Tools(options.tcti)
  base.onClose(() => tools.alone(async () => tools.close()))

  const attempt = async (): Promise<boolean> => {
    try {
      await tools.alone(() => prepare(tools, options))
      base.update({ presence: 'ready', detail: undefined })
      return true
    } catch (error) {
      const detail = error instanceof Error ? error.message : 'no TPM'
      base.update({ presence: 'lost', detail })
      return false
    }
  }
  const untilThere = async () => {
    while (!base.closing.aborted && !(await attempt())) await context.clock.sleep(RETRY_MS, base.closing)
  }
  if (!(await attempt())) void untilThere().catch(() => undefined)

  const counter = async (name: string): Promise<{ index: string; value: bigint }> => {
    checkElementName('a counter', name)
    const index = nvIndex(name)
    try {
      return { index, value: await readCounter(tools, index) }
    } catch (error) {
      if (!isPosternError(error, 'DEVICE_PROTOCOL')) throw error
      await defineCounter(tools, index)
      return { index, value: await readCounter(tools, index) }
    }
  }

  return {
    ...base.device,
    capabilities: { hardware: true },
    seal: (name, secret) =>
      base.operation({}, () =>
        tools.alone(async () => {
          checkElementName('a label', name)
          checkSecretLength(secret)
          const key = new Uint8Array(randomBytes(DATA_KEY_BYTES))
          try {
            const { publicPart, privatePart } = await sealKey(tools, key)
            base.count('SealCount')
            return joinParts(publicPart, privatePart, closeBox(key, label(name), secret))
          } finally {
            erase(key)
          }
        }),
      ),
    unseal: (name, sealed) =>
      base.operation({}, () =>
        tools.alone(async () => {
          checkElementName('a label', name)
          let key: Uint8Array | undefined
          try {
            const { publicPart, privatePart, box } = splitParts(sealed)
            key = await unsealKey(tools, options, publicPart, privatePart)
            const secret = openBox(key, label(name), box)
            base.count('UnsealCount')
            return secret
          } catch (error) {
            if (isPosternError(error, 'DEVICE_PROTOCOL')) base.count('RefusedUnsealCount')
            throw error
          } finally {
            erase(key)
          }
        }),
      ),
    counter: (name) => base.operation({}, () => tools.alone(async () => (await counter(name)).value)),
    increment: (name) =>
      base.operation({}, () =>
        tools.alone(async () => {
          const { index } = await counter(name)
          await tools.run('nvincrement', [index, '-C', 'o'])
          base.count('IncrementCount')
          return readCounter(tools, index)
        }),
      ),
  }
}
