// The host's side of the app contract, for one app: its calls, carried to the secure world or served here.
import { scrubPans } from '../../../hal/base/log.js'
import type { HostMethods } from '../../api/app-contract.js'
import type { Served } from '../../api/contract.js'
import { RpcError } from '../../api/json-rpc.js'
import type { PaymentView } from '../../api/payments.js'
import type { Screen } from '../../api/screens.js'
import type { AppServices } from './app-services.js'
import type { AppSession } from './app-session.js'
import { type Manifest, nameIn } from './manifest.js'
import { createRateLimit } from './rate-limit.js'

/** How long a call waits for a secure world that is being restarted. */
const RESTART_PATIENCE_MS = 60_000
/** An outcome counts as taken when the app still lives this long after it was answered. */
const SETTLED_MS = 5000
const STATUS_EVERY_MS = 500

export interface HostServiceHooks {
  /** The app called `app.ready`. */
  onReady(): void
  /** It shows something, so that scans are for it. */
  onForeground(): void
  /** A collect or void has ended, in whatever way: events about it may go out. */
  onPaymentEnded(): void
}

const isDisconnected = (error: unknown) => error instanceof RpcError && error.code === 'DISCONNECTED'

/** Serves one connection of one app. Who asks is known from the descriptor, not from what is asked. */
export function createHostService(
  manifest: Manifest,
  session: AppSession,
  services: AppServices,
  { onReady, onForeground, onPaymentEnded }: HostServiceHooks,
): Served<typeof HostMethods> {
  const { bridge, clock, log } = services
  const { secure } = bridge
  const app = manifest.id
  const owner = () => ({ app, name: nameIn(manifest, services.locale()) })
  const storage = services.storage(app)
  const mayLog = createRateLimit(clock, 20, 100)
  /** The newest data of what is shown, for showing it again after the secure world was restarted. */
  const shown = new Map<string, { screen: Screen }>()

  const away = (error: unknown): unknown =>
    isDisconnected(error)
      ? new RpcError('SECURE_WORLD_AWAY', 'the secure world is being restarted; ask again')
      : error
  const once = async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      return await call()
    } catch (error) {
      throw away(error)
    }
  }
  /** For calls that may be repeated: waits for a restarted secure world and asks again. */
  const again = async <T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await call()
      } catch (error) {
        if (!isDisconnected(error)) throw error
        await bridge.whenConnected(RESTART_PATIENCE_MS, signal)
      }
    }
  }
  /** What became of a payment during which the secure world fell over: its journal knows. */
  const recovered = async (key: string, signal: AbortSignal): Promise<PaymentView> => {
    for (;;) {
      const view = await again(signal, () => secure['payments.status']({ owner: owner(), key }, signal))
      if (view.outcome === 'unknown')
        throw new RpcError('SECURE_WORLD_AWAY', 'the payment had not begun; nothing was taken')
      if (view.outcome !== 'inProgress') return view
      await clock.sleep(STATUS_EVERY_MS, signal)
    }
  }
  const pay = async (key: string, signal: AbortSignal, call: () => Promise<PaymentView>) => {
    session.collecting.add(key)
    try {
      const view = await call().catch((error: unknown) => {
        if (!isDisconnected(error)) throw error
        return recovered(key, signal)
      })
      session.answered.set(key, view.outcome)
      clock.sleep(SETTLED_MS, session.gone).then(
        () => services.payments.told(app, view),
        () => undefined,
      )
      return view
    } finally {
      session.collecting.delete(key)
      onPaymentEnded()
    }
  }

  return {
    'app.ready': async (_params, signal) => {
      const context = await services.context(signal)
      onReady()
      return context
    },

    'screens.show': async ({ id, screen }, signal) => {
      const mine = { screen }
      shown.set(id, mine)
      onForeground()
      try {
        return await again(signal, () =>
          secure['screens.show']({ owner: owner(), id, screen: mine.screen }, signal),
        )
      } finally {
        if (shown.get(id) === mine) shown.delete(id)
      }
    },
    'screens.update': async ({ id, screen }, signal) => {
      const mine = shown.get(id)
      if (mine === undefined) throw new RpcError('NOT_SHOWN', `no screen ${id} is shown`)
      mine.screen = screen
      return secure['screens.update']({ owner: owner(), id, screen }, signal).catch((error: unknown) => {
        if (!isDisconnected(error)) throw error
        return null // the newest data is what comes back
      })
    },

    'session.signIn': (_params, signal) =>
      again(signal, () => secure['session.signIn']({ owner: owner() }, signal)),
    'session.signOut': (_params, signal) => again(signal, () => secure['session.signOut'](null, signal)),
    'session.authorise': ({ action, reason }, signal) =>
      once(() => secure['session.authorise']({ owner: owner(), action, reason }, signal)),

    'payments.collect': (request, signal) =>
      pay(request.key, signal, () => secure['payments.collect']({ owner: owner(), request }, signal)),
    'payments.status': ({ key }, signal) =>
      again(signal, () => secure['payments.status']({ owner: owner(), key }, signal)),
    'payments.cancel': ({ key }, signal) =>
      once(() => secure['payments.cancel']({ owner: owner(), key }, signal)),
    'payments.void': (request, signal) =>
      pay(request.key, signal, () => secure['payments.void']({ owner: owner(), request }, signal)),
    'payments.refund': (request, signal) =>
      pay(request.key, signal, () => secure['payments.refund']({ owner: owner(), request }, signal)),
    'payments.preauthorise': (request, signal) =>
      pay(request.key, signal, () => secure['payments.preauthorise']({ owner: owner(), request }, signal)),
    'payments.increment': (request, signal) =>
      pay(request.key, signal, () => secure['payments.increment']({ owner: owner(), request }, signal)),
    'payments.complete': (request, signal) =>
      pay(request.key, signal, () => secure['payments.complete']({ owner: owner(), request }, signal)),
    'payments.stuck': (_params, signal) => again(signal, () => secure['payments.stuck'](null, signal)),
    'payments.review': (_params, signal) => once(() => secure['payments.review'](null, signal)),
    'round.totals': (_params, signal) => again(signal, () => secure['round.totals'](null, signal)),
    'round.close': (_params, signal) => once(() => secure['round.close'](null, signal)),

    'printer.print': (document, signal) => services.printing.print(document, signal),
    'printer.receipt': async ({ key, copy }, signal) => {
      const facts = await again(signal, () => secure['payments.receipt']({ owner: owner(), key }, signal))
      if (facts === null) throw new RpcError('NO_RECEIPT', 'this payment has no receipt')
      return services.printing.receipt(facts, { copy, locale: services.locale() }, signal)
    },
    'printer.resume': ({ job }, signal) => services.printing.resume(job, services.locale(), signal),
    'scanner.trigger': async (_params, signal) => {
      onForeground()
      await services.scanner.trigger(signal)
    },

    'storage.get': ({ key }) => ({ value: storage.get(key) }),
    'storage.set': ({ key, value }) => {
      storage.set(key, value)
      return null
    },
    'storage.delete': ({ key }) => {
      storage.delete(key)
      return null
    },

    'messages.publish': ({ topic, payload }) => ({
      id: services.outbox.put(`app/${app}/up/${topic}`, payload ?? null),
    }),
    'messages.ack': ({ id }) => {
      services.inbox.acknowledge(app, id)
      return null
    },

    'log.write': ({ level, event, text }) => {
      if (!mayLog()) throw new RpcError('RATE_LIMITED', 'an app may write 20 lines a second')
      log[level]('app.log', { app, event: scrubPans(event), ...(text ? { text: scrubPans(text) } : {}) })
      return null
    },
  }
}
