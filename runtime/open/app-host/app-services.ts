// What the app host needs of the rest of the open world: narrow traits, shared by all apps.
import type { Clock } from '../../../hal/base/clock.js'
import type { Log } from '../../../hal/base/log.js'
import type { AppContext } from '../../api/app-contract.js'
import type { Bridge } from '../bridge/bridge-client.js'
import type { Inbox } from '../link/inbox.js'
import type { Outbox } from '../link/outbox.js'
import type { PaymentEvents } from '../link/payment-events.js'
import type { ScannerService } from '../peripherals/scanner-service.js'
import type { PrintService } from '../receipts/print-service.js'
import type { AppStorage } from '../storage.js'

export interface AppServices {
  readonly bridge: Pick<Bridge, 'secure' | 'whenConnected'>
  /** The facts of now. Waits for the secure world's first word. @throws RpcError `SECURE_WORLD_AWAY` */
  context(signal: AbortSignal): Promise<AppContext>
  readonly locale: () => string
  readonly storage: (app: string) => AppStorage
  readonly outbox: Pick<Outbox, 'put'>
  readonly inbox: Inbox
  readonly payments: PaymentEvents
  readonly printing: Pick<PrintService, 'print' | 'receipt' | 'resume'>
  readonly scanner: ScannerService
  readonly clock: Clock
  readonly log: Log
}
