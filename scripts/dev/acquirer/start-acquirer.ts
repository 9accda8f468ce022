// Puts the development acquirer together from its configuration: issuer, ledger, host, line and query.
import { readFileSync } from 'node:fs'
import { fromHex } from '../../../hal/base/bytes.js'
import { systemClock, systemRandom } from '../../../hal/base/clock.js'
import type { Log } from '../../../hal/base/log.js'
import { hostDialect } from '../../../runtime/secure/payments/iso8583/dialects/host-dialects.js'
import { DEFAULT_FRAMING } from '../../../runtime/secure/payments/iso8583/framing.js'
import { loadProfiles } from '../issuer/card-profile.js'
import { fileBooks } from '../issuer/issuer-books.js'
import { createIssuerHost } from '../issuer/issuer-host.js'
import { createAcquirerHost } from './acquirer-host.js'
import type { AcquirerConfig } from './config.js'
import { createHostKeys, createKeyBlocks } from './host-keys.js'
import { openLedger } from './ledger.js'
import { startQueryServer } from './query.js'
import { DEFAULT_RULES } from './rules.js'
import { startAcquirerServer } from './server.js'

/** A late answer comes after the 45 s that terminals usually wait. */
const DEFAULT_LATE_MS = 60_000

/** PIN blocks are as long as the keys of the terminals have them: a host with TDES keys takes format 0. */
const keyScheme = ({ tdesBdk }: AcquirerConfig) => (tdesBdk === undefined ? 'aes' : 'tdes')

export interface RunningAcquirer {
  readonly port: number
  /** Undefined where the configuration opens no query port. */
  readonly queryPort: number | undefined
  close(): Promise<void>
}

/** Starts everything; what is open closes in reverse. @throws PosternError of the part that failed */
export async function startAcquirer(config: AcquirerConfig, log: Log): Promise<RunningAcquirer> {
  const ledger = openLedger(config.ledger)
  try {
    const bdk = fromHex(config.bdk)
    const base = { aes: bdk, ...(config.tdesBdk === undefined ? {} : { tdes: fromHex(config.tdesBdk) }) }
    const kbpkOf = (id: string) => {
      const kbpk = config.terminals.find(({ terminalId }) => terminalId === id)?.kbpk ?? config.kbpk
      return kbpk === undefined ? undefined : fromHex(kbpk)
    }
    const options = {
      keys: createHostKeys(base),
      newKeyBlock: createKeyBlocks(base, kbpkOf, systemRandom),
      signOnFirst: config.signOnFirst === true,
      issuer: createIssuerHost({
        keysDir: config.issuerKeys,
        books: fileBooks(config.issuerBooks),
        ...(config.cards === undefined ? {} : { cards: loadProfiles(config.cards) }),
      }),
      ledger,
      rules: [...(config.rules ?? []), ...DEFAULT_RULES],
      terminals: config.terminals,
      clock: systemClock,
      log,
    }
    const host = createAcquirerHost(
      options,
      hostDialect(config.dialect ?? 'postern-dev', {}, keyScheme(config)),
    )
    const { key, cert, clientCa } = config.tls
    const server = await startAcquirerServer({
      listen: config.listen,
      tls: {
        key: readFileSync(key),
        cert: readFileSync(cert),
        ...(clientCa === undefined ? {} : { ca: readFileSync(clientCa) }),
      },
      host,
      lateMs: config.lateMs ?? DEFAULT_LATE_MS,
      framing: config.framing ?? DEFAULT_FRAMING,
      log,
    })
    const query = config.query === undefined ? undefined : await startQueryServer(ledger, config.query)
    return {
      port: server.port,
      queryPort: query?.port,
      async close() {
        await query?.close()
        await server.close()
        ledger.close()
      },
    }
  } catch (error) {
    ledger.close()
    throw error
  }
}
