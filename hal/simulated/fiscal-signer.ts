// A fiscal signer for development: ECDSA P-256 over each receipt and the one before it, in a log that is synced line by line.
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { type Static, Type } from 'typebox'
import { readDurable, writeDurable } from '../base/durable-file.js'
import type { Driver } from '../board.js'
import { createDeviceBase, deviceError } from '../device-base.js'
import type { FiscalReceipt, FiscalSignature, FiscalSigner } from '../fiscal-signer.js'
import { type BusConnector, joinPeripheral, socketBus } from './bus-device.js'

const FiscalSignerOptions = Type.Object(
  {
    /** Folder of key and log; made with mode 0700. */
    directory: Type.String({ minLength: 1, maxLength: 4_096 }),
    /** The virtual handheld's socket: there the signer can be unplugged. */
    socket: Type.Optional(Type.String({ minLength: 1, maxLength: 107 })),
  },
  { additionalProperties: false },
)
type FiscalSignerOptions = Static<typeof FiscalSignerOptions>

/** Receipts that are found again by their id; a receipt's answer is lost for seconds, not for so many others. */
const REMEMBERED = 5_000
const PRINTABLE = /^[\x20-\x3a\x3c-\x7e]{1,96}$/

/** A line of the log. */
interface Signed extends FiscalSignature {
  readonly id: string
  readonly content: string
}

/**
 * What is signed and shown: fields by `;`, the digest of the code before it, then the signature (IEEE P1363, base64url).
 * NOTE: no country's format; its fields are those that such formats share.
 */
export const FISCAL_CODE_PREFIX = 'PSTN-FISCAL-1'

const contentOf = (receipt: FiscalReceipt) =>
  [
    receipt.id,
    receipt.kind,
    new Date(receipt.atMs).toISOString(),
    receipt.amountMinor,
    receipt.currency,
    receipt.terminalId,
    receipt.receiptNumber,
    receipt.operator,
  ].join(';')

const digest = (text: string) => createHash('sha256').update(text, 'latin1').digest('hex')

function openKey(directory: string): KeyObject {
  const path = join(directory, 'signer.key')
  const kept = readDurable(path)?.content
  if (kept !== undefined) return createPrivateKey(Buffer.from(kept))
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  writeDurable(path, Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' })))
  return privateKey
}

/** The whole lines of the log; a line that a power cut tore is cut off, as nobody was told of it. */
function readLog(path: string): Signed[] {
  if (!existsSync(path)) return []
  const text = readFileSync(path, 'utf8')
  const end = text.lastIndexOf('\n') + 1
  if (end < text.length) truncateSync(path, Buffer.byteLength(text.slice(0, end)))
  return text
    .slice(0, end)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Signed)
}

export function fiscalSignerDriver(connect: BusConnector = socketBus): Driver<FiscalSigner> {
  return {
    name: 'simulated',
    deviceClass: 'fiscal-signer',
    optionsSchema: FiscalSignerOptions,
    async open(options: FiscalSignerOptions, context) {
      const base = createDeviceBase<'fiscal-signer', 'ready' | 'failed'>(
        context,
        'fiscal-signer',
        'simulated',
        'ready',
      )
      const { directory } = options
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      const key = openKey(directory)
      const publicKey = createPublicKey(key).export({ type: 'spki', format: 'pem' })
      writeFileSync(join(directory, 'signer.pub'), publicKey, { mode: 0o600 })
      const serial = digest(publicKey.toString()).slice(0, 32)
      const logPath = join(directory, 'receipts.log')
      const log = readLog(logPath)
      let counter = log.at(-1)?.counter ?? 0
      let last = log.at(-1)?.code ?? ''
      const known = new Map(log.slice(-REMEMBERED).map((one) => [one.id, one]))

      const handle = openSync(logPath, 'a', 0o600)
      base.onClose(() => closeSync(handle))
      if (options.socket === undefined) base.update({ presence: 'ready' })
      else
        await joinPeripheral(base, connect({ socket: options.socket }, context), 'fiscal-signer', {
          attached: () => undefined,
        })

      function append(receipt: FiscalReceipt, content: string): Signed {
        const signedAtMs = context.clock.nowMs()
        const next = counter + 1
        const signedAt = new Date(signedAtMs).toISOString()
        const head = [FISCAL_CODE_PREFIX, serial, next, signedAt, content, digest(last).slice(0, 16)].join(
          ';',
        )
        const signature = sign('sha256', Buffer.from(head, 'latin1'), { key, dsaEncoding: 'ieee-p1363' })
        const code = `${head};${signature.toString('base64url')}`
        const text = `${next}-${digest(code).slice(0, 16).toUpperCase()}`
        const line: Signed = { id: receipt.id, content, serial, counter: next, signedAtMs, code, text }
        writeSync(handle, `${JSON.stringify(line)}\n`)
        fsyncSync(handle)
        counter = next
        last = code
        known.set(line.id, line)
        if (known.size > REMEMBERED) known.delete(known.keys().next().value!)
        base.count('SignatureCount')
        return line
      }

      return {
        ...base.device,
        capabilities: { scheme: 'postern-development', certified: false },
        sign: (receipt, signal) =>
          base.operation({ signal, lane: 'sign' }, async () => {
            const content = contentOf(receipt)
            const texts = [receipt.id, receipt.terminalId, receipt.operator, receipt.currency]
            if (!texts.every((text) => PRINTABLE.test(text)))
              throw deviceError('DEVICE_UNSUPPORTED', 'a receipt has ids of 1 to 96 printable characters')
            const before = known.get(receipt.id)
            if (before !== undefined && before.content !== content)
              throw deviceError('DEVICE_PROTOCOL', 'another receipt was signed under this id')
            const { id: _, content: __, ...signature } = before ?? append(receipt, content)
            return signature
          }),
      }
    },
  }
}
