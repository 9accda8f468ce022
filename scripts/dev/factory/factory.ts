// The factory of development terminals: keys, certificates and documents, as a key room and a depot would give them.
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fromHex } from '../../../hal/base/bytes.js'
import { systemRandom } from '../../../hal/base/clock.js'
import { deriveInitialKey } from '../../../runtime/secure/keys/aes-dukpt.js'
import { ACQUIRER_KEYS, loadInitialKey } from '../../../runtime/secure/keys/dukpt-terminal-keys.js'
import { openFileKeyStore } from '../../../runtime/secure/keys/file-key-store.js'
import { storeProtectionKey } from '../../../runtime/secure/keys/protection-key.js'
import type { AcquirersDocument } from '../../../runtime/secure/payments/acquirer-document.js'
import { deriveProtectionKey } from '../../key-room/packages.js'
import { ensureIssuerKeys } from '../issuer/issuer-keys.js'
import { type CertificateFiles, developmentAuthority } from './certificates.js'
import {
  documentSigner,
  emvTables,
  MERCHANT,
  MERCHANT_ID,
  operators,
  randomHex,
  TERMINAL_ID,
} from './documents.js'

/** The key set of a certified module: its own initial key, under the same base key, so that the host knows it too. */
export const MODULE_KEYS = 'module'

/** What the surroundings of a terminal are started with. */
export interface Surroundings {
  readonly ca: string
  readonly acquirer: CertificateFiles
  readonly cloud: CertificateFiles
  readonly service: CertificateFiles
  readonly terminal: CertificateFiles
  /** Base derivation key, hex; the terminal never sees it. */
  readonly bdk: string
  /** The key room's master key, hex: terminals' protection keys are derived from it. */
  readonly master: string
  readonly issuerKeys: string
}

/** A value that is made once and kept in a file. */
function kept(path: string, make: () => string): string {
  if (!existsSync(path)) writeFileSync(path, make(), { mode: 0o600 })
  return readFileSync(path, 'utf8')
}

/** Makes (once) what stands around the terminal. Takes a second or two the first time, for the cards' RSA keys. */
export function prepareSurroundings(dev: string): Surroundings {
  const authority = developmentAuthority(join(dev, 'certificates'))
  const issuerKeys = join(dev, 'issuer')
  ensureIssuerKeys(issuerKeys)
  return {
    ca: authority.ca,
    acquirer: authority.issue('acquirer', 'acquirer.postern.test', 'server'),
    cloud: authority.issue('cloud', 'cloud.postern.test', 'server'),
    service: authority.issue('service', 'delivery-service', 'client'),
    terminal: authority.issue('terminal', TERMINAL_ID, 'client'),
    bdk: kept(join(dev, 'bdk.hex'), () => randomHex(16)),
    master: kept(join(dev, 'master.hex'), () => randomHex(32)),
    issuerKeys,
  }
}

export interface Personalisation {
  readonly secureDir: string
  readonly dev: string
  readonly surroundings: Surroundings
  readonly acquirerPort: number
  /** How long the terminal waits for the host; 45 s unless told. */
  readonly hostMs: number
  /** The merchant's country wants receipts signed. */
  readonly fiscal?: boolean
}

/**
 * Gives the secure world its passphrase, its initial key (once) and its documents. Documents are signed anew each time,
 * with a version that grows, as the acquirer's port may have changed.
 */
export async function personalise({
  secureDir,
  dev,
  surroundings,
  acquirerPort,
  hostMs,
  fiscal = false,
}: Personalisation): Promise<void> {
  await giveKeys(secureDir, ACQUIRER_KEYS, surroundings.bdk, surroundings.master)
  const signer = documentSigner(join(dev, 'signer'))
  writeFileSync(join(secureDir, 'document-root.pem'), signer.publicPem)
  const acquirers: AcquirersDocument = {
    acquirers: [
      {
        id: 'development',
        host: '127.0.0.1',
        port: acquirerPort,
        tls: { serverName: 'localhost', ca: readFileSync(surroundings.ca, 'utf8') },
        tpdu: { destination: 1, source: 0 },
        nii: '001',
        terminalId: TERMINAL_ID,
        merchantId: MERCHANT_ID,
        dialect: 'postern-dev',
        capabilities: {
          refund: true,
          preauth: true,
          partial: true,
          tip: true,
          cashback: true,
          manualEntry: true,
          declineAdvices: true,
          upload: true,
        },
        // What it answers with A0 wants another key; the month is for those who leave a terminal running.
        management: { signOn: { codes: ['A1'] }, keyExchange: { everyDays: 30, codes: ['A0'] } },
        // A small payment may do without the bank, where the operator takes the risk.
        offlineFloorMinor: '2000',
        currency: MERCHANT.currency,
        // A machine that is busy, or an acquirer that a test holds, may be slow to connect too.
        timeouts: { hostMs, connectMs: Math.max(hostMs, 30_000) },
        // The development acquirer remembers reversed originals and refuses them later.
        reversals: { notFoundFinalAfterMs: 0 },
      },
    ],
  }
  const version = Math.floor(Date.now() / 1000)
  signer.write(secureDir, 'acquirers', version, acquirers)
  signer.write(secureDir, 'merchant', version, fiscal ? { ...MERCHANT, fiscal: {} } : MERCHANT)
  signer.write(secureDir, 'operators', version, await operators())
  signer.write(secureDir, 'emv', version, emvTables(ensureIssuerKeys(surroundings.issuerKeys)))
}

/** Gives a folder a key store with one initial key and its passphrase, once; a terminal also its protection key. */
async function giveKeys(folder: string, set: string, bdk: string, master?: string): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const passphrase = kept(join(folder, 'passphrase'), () => randomHex(32))
  if (existsSync(join(folder, 'keys', `${set}.sealed`))) return
  // A new id each time: under an old one the serial numbers would start again, and the acquirer refuses repeats.
  const ikid = systemRandom(8)
  const store = await openFileKeyStore({
    folder: join(folder, 'keys'),
    passphrase: Buffer.from(passphrase, 'utf8'),
    random: systemRandom,
  })
  await loadInitialKey(store, set, { ikid, key: deriveInitialKey(fromHex(bdk), ikid) }, systemRandom)
  if (master !== undefined)
    await storeProtectionKey(store, {
      cipher: 'aes',
      key: deriveProtectionKey(fromHex(master), TERMINAL_ID),
    })
  store.close()
}

/** Gives a simulated certified module its keys (once) and the EMV tables. */
export async function personaliseModule(
  moduleDir: string,
  dev: string,
  surroundings: Surroundings,
): Promise<void> {
  await giveKeys(moduleDir, MODULE_KEYS, surroundings.bdk)
  const signer = documentSigner(join(dev, 'signer'))
  writeFileSync(join(moduleDir, 'document-root.pem'), signer.publicPem)
  const tables = emvTables(ensureIssuerKeys(surroundings.issuerKeys))
  signer.write(moduleDir, 'emv', Math.floor(Date.now() / 1000), tables)
}

/** Gives the open world its transport identity, the one key that it has, and the authority of its broker. */
export function giveTransportIdentity(
  openDir: string,
  surroundings: Surroundings,
): { readonly ca: string; readonly cert: string; readonly key: string } {
  const folder = join(openDir, 'tls')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const files = {
    ca: join(folder, 'ca.crt'),
    cert: join(folder, 'terminal.crt'),
    key: join(folder, 'terminal.key'),
  }
  copyFileSync(surroundings.ca, files.ca)
  copyFileSync(surroundings.terminal.cert, files.cert)
  copyFileSync(surroundings.terminal.key, files.key)
  return files
}
