// The development cloud put together: broker (unless another is named), delivery service, page.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Static, Type } from 'typebox'
import { Parcel } from '../../../apps/courier/messages.js'
import type { Clock, Random } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import type { Log } from '../../../hal/base/log.js'
import { packageRoot } from '../../../hal/base/package-root.js'
import { checker } from '../../../runtime/api/contract.js'
import { commonNameOf, startBroker } from './broker.js'
import type { CloudConfig } from './config.js'
import { openDeliveryBook } from './delivery-book.js'
import { startDeliveryService } from './delivery-service.js'
import { servePage } from './page.js'

const SAMPLES = join(packageRoot, 'scripts/dev/cloud/deliveries.json')
const Samples = Type.Object(
  { depot: Type.String({ maxLength: 60 }), parcels: Type.Array(Parcel, { minItems: 1, maxItems: 40 }) },
  { additionalProperties: false },
)

export interface Cloud {
  readonly mqttPort: number
  readonly httpPort: number
  close(): Promise<void>
}

/** Reads a file of sample parcels. @throws PosternError `DELIVERIES_INVALID` naming the place */
export function readDeliveries(path = SAMPLES): Static<typeof Samples> {
  const document: unknown = JSON.parse(readFileSync(path, 'utf8'))
  const fault = checker(Samples)(document)
  if (fault !== undefined) throw new PosternError('DELIVERIES_INVALID', `${path}: ${fault}`)
  return document as Static<typeof Samples>
}

const twoDigits = (value: number) => String(value).padStart(2, '0')
const localDate = (ms: number) => {
  const at = new Date(ms)
  return `${at.getFullYear()}-${twoDigits(at.getMonth() + 1)}-${twoDigits(at.getDate())}`
}

/** Starts it; resolves when everything listens. */
export async function startCloud(
  config: CloudConfig,
  { clock, random, log }: { readonly clock: Clock; readonly random: Random; readonly log: Log },
): Promise<Cloud> {
  const { depot, parcels } = readDeliveries(config.deliveries)
  const book = openDeliveryBook(config.stateDir, log)
  for (const terminal of config.terminals) book.roundOf(terminal, localDate(clock.nowMs()), depot, parcels)
  const name = commonNameOf(config.service.cert)
  const embedded = config.broker ? undefined : await startBroker({ ...config.mqtt, serviceName: name, log })
  const broker = config.broker ?? { host: config.mqtt.host, port: embedded!.port }
  const service = startDeliveryService({
    endpoint: { ...broker, ca: config.mqtt.ca, ...config.service },
    name,
    book,
    repeatMs: config.repeatMs,
    clock,
    random,
    log,
  })
  const state = () => ({
    service: service.state(),
    terminals: config.terminals.map((id) => ({
      id,
      ...(service.presence().get(id) ?? { online: false }),
      power: service.power().get(id) ?? null,
    })),
    rounds: book.rounds().map(({ parcels: all, ...round }) => ({ ...round, parcels: all.length })),
    parcels: book.parcels(),
    payments: book.payments(),
  })
  const page = await servePage(config.http, state).catch(async (error: unknown) => {
    await service.close()
    await embedded?.close()
    throw error
  })
  return {
    mqttPort: broker.port,
    httpPort: page.port,
    close: async () => {
      await page.close()
      await service.close()
      await embedded?.close()
    },
  }
}
