// A secure element for development: keys and counters in a folder. It protects against nothing but mistakes.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Static, Type } from 'typebox'
import { concat, erase } from '../base/bytes.js'
import { readDurable, writeDurable } from '../base/durable-file.js'
import type { Driver } from '../board.js'
import { createDeviceBase, deviceError } from '../device-base.js'
import type { SecureElement } from '../secure-element.js'
import { type BusConnector, joinPeripheral, socketBus } from './bus-device.js'

const SecureElementOptions = Type.Object(
  {
    /** Folder of the state; made with mode 0700. */
    directory: Type.String({ minLength: 1, maxLength: 4_096 }),
    /** The virtual handheld's socket: its case switches then destroy the key, as they would in hardware. */
    socket: Type.Optional(Type.String({ minLength: 1, maxLength: 107 })),
  },
  { additionalProperties: false },
)
type SecureElementOptions = Static<typeof SecureElementOptions>

const MAX_BYTES = 4_096
const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const NAME = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$/

export function secureElementDriver(connect: BusConnector = socketBus): Driver<SecureElement> {
  return {
    name: 'simulated',
    deviceClass: 'secure-element',
    optionsSchema: SecureElementOptions,
    async open(options: SecureElementOptions, context) {
      const base = createDeviceBase<'secure-element', 'ready' | 'locked'>(
        context,
        'secure-element',
        'simulated',
        'ready',
      )
      const keyPath = join(options.directory, 'hardware.key')
      const countersPath = join(options.directory, 'counters.json')
      const lockPath = join(options.directory, 'tampered')
      mkdirSync(options.directory, { recursive: true, mode: 0o700 })
      chmodSync(options.directory, 0o700)
      let key: Uint8Array | undefined

      const unlock = () => {
        rmSync(lockPath, { force: true })
        const kept = readDurable(keyPath)?.content
        key = kept ?? new Uint8Array(randomBytes(32))
        if (kept === undefined) writeDurable(keyPath, key)
        base.update({ state: 'ready', detail: undefined })
      }
      const lock = () => {
        writeFileSync(lockPath, '', { mode: 0o600 })
        for (const path of [keyPath, `${keyPath}.previous`]) {
          if (existsSync(path)) writeFileSync(path, new Uint8Array(256))
          rmSync(path, { force: true })
        }
        erase(key)
        key = undefined
        base.update({ state: 'locked', detail: 'the case was opened; the key is destroyed' })
      }

      if (existsSync(lockPath)) lock()
      else unlock()
      if (options.socket === undefined) base.update({ presence: 'ready' })
      else {
        const bus = connect({ socket: options.socket }, context)
        await joinPeripheral(
          // The element lives in its folder: a handheld that is away makes it deaf to the case, not absent.
          { ...base, update: () => undefined },
          bus,
          'tamper',
          {
            attached({ sensors }) {
              if (sensors.length > 0) lock()
              return undefined
            },
            event: (event) => (event.type === 'tripped' ? lock() : unlock()),
          },
        )
        base.update({ presence: 'ready' })
      }
      base.onClose(() => erase(key))

      const keyFor = (label: string): Uint8Array => {
        if (key === undefined) throw refused()
        return new Uint8Array(hkdfSync('sha256', key, new Uint8Array(), `postern seal ${label}`, 32))
      }
      const refused = () => {
        base.count('RefusedUnsealCount')
        return deviceError('DEVICE_PROTOCOL', 'sealed data refused', { detail: 'sealed data refused' })
      }
      const checkName = (what: string, name: string) => {
        if (!NAME.test(name))
          throw deviceError('DEVICE_UNSUPPORTED', `${what} has to be 1 to 64 plain characters`)
      }

      return {
        ...base.device,
        capabilities: { hardware: false },
        seal: (label, secret) =>
          base.operation({}, async () => {
            checkName('a label', label)
            if (secret.length > MAX_BYTES)
              throw deviceError('DEVICE_UNSUPPORTED', `at most ${MAX_BYTES} bytes can be sealed`)
            const labelKey = keyFor(label)
            const nonce = randomBytes(NONCE_BYTES)
            const cipher = createCipheriv('aes-256-gcm', labelKey, nonce)
            const body = concat(cipher.update(secret), cipher.final())
            erase(labelKey)
            base.count('SealCount')
            return concat(Uint8Array.of(VERSION), nonce, cipher.getAuthTag(), body)
          }),
        unseal: (label, sealed) =>
          base.operation({}, async () => {
            checkName('a label', label)
            const head = 1 + NONCE_BYTES + TAG_BYTES
            if (sealed.length < head || sealed.length > head + MAX_BYTES || sealed[0] !== VERSION)
              throw refused()
            const labelKey = keyFor(label)
            try {
              const decipher = createDecipheriv('aes-256-gcm', labelKey, sealed.subarray(1, 1 + NONCE_BYTES))
              decipher.setAuthTag(sealed.subarray(1 + NONCE_BYTES, head))
              const secret = concat(decipher.update(sealed.subarray(head)), decipher.final())
              base.count('UnsealCount')
              return secret
            } catch {
              throw refused()
            } finally {
              erase(labelKey)
            }
          }),
        counter: (name) =>
          base.operation({}, async () => {
            checkName('a counter', name)
            return readCounters(countersPath).get(name) ?? 0n
          }),
        increment: (name) =>
          base.operation({}, async () => {
            checkName('a counter', name)
            const counters = readCounters(countersPath)
            const next = (counters.get(name) ?? 0n) + 1n
            counters.set(name, next)
            const json = Object.fromEntries([...counters].map(([each, count]) => [each, String(count)]))
            writeDurable(countersPath, new Uint8Array(Buffer.from(JSON.stringify(json))))
            base.count('IncrementCount')
            return next
          }),
      }
    },
  }
}

/**
 * Where the newest generation is damaged, the one before it is a single increment behind, we don't know of which
 * counter: each is taken as one higher, so that none ever repeats.
 */
function readCounters(path: string): Map<string, bigint> {
  const kept = readDurable(path)
  if (kept === undefined) return new Map()
  const json = JSON.parse(Buffer.from(kept.content).toString('utf8')) as Record<string, string>
  const behind = kept.generation === 'previous' ? 1n : 0n
  return new Map(Object.entries(json).map(([name, count]) => [name, BigInt(count) + behind]))
}
