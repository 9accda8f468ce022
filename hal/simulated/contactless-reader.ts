// Driver of the virtual handheld's contactless field.
import { createGate } from '../base/gate.js'
import type { Driver } from '../board.js'
import type {
  ContactlessEvent,
  ContactlessReader,
  ContactlessReaderState,
  PollOutcome,
} from '../contactless-reader.js'
import { createDeviceBase, deviceError } from '../device-base.js'
import { type BusConnector, BusOptions, joinPeripheral, socketBus } from './bus-device.js'
import { cardPort, createCardSession, type OpenCardSession } from './card-session.js'

/** A field that is off so long has reset every card in it. ISO/IEC 14443-3; EMV Contactless Book D, 3.2.6 */
const RESET_MS = 6

export function contactlessReaderDriver(connect: BusConnector = socketBus): Driver<ContactlessReader> {
  return {
    name: 'simulated',
    deviceClass: 'contactless-reader',
    optionsSchema: BusOptions,
    async open(options: BusOptions, context) {
      const base = createDeviceBase<'contactless-reader', ContactlessReaderState, ContactlessEvent>(
        context,
        'contactless-reader',
        'simulated',
        'fieldOff',
      )
      const gate = createGate()
      let cards = 0
      let session: OpenCardSession | undefined
      let reset: Promise<void> = Promise.resolve()

      const endSession = (early: boolean) => {
        if (session === undefined) return
        const was = session
        session = undefined
        if (!was.live()) return
        const torn = was.underWay()
        was.cardGone()
        if (early) base.emit({ type: 'removedEarly', torn })
      }
      const port = await joinPeripheral(base, connect(options, context), 'contactless-reader', {
        attached(_, wire) {
          cards = 0
          base.update({ state: 'fieldOff' })
          // A field that a crashed process left on is switched off before anything else.
          reset = wire.call('field', { on: false }).then(
            () => undefined,
            () => undefined,
          )
          return undefined
        },
        event(field) {
          // One card more makes the one that we talk to unreachable too.
          if (field.cards !== 1) endSession(true)
          cards = field.cards
          gate.notify()
        },
        detached() {
          cards = 0
          endSession(false)
        },
      })

      base.onClose(() => fieldOff().catch(() => undefined))
      async function fieldOff(): Promise<void> {
        endSession(false)
        await port.call('field', { on: false })
        base.update({ state: 'fieldOff' })
        await context.clock.sleep(RESET_MS)
      }
      const openSession = (atrHex: string, cycle: number): OpenCardSession => {
        base.count('GoodReadCount')
        base.update({ state: 'present' })
        const opened = createCardSession({
          base,
          clock: context.clock,
          port: cardPort(port),
          atrHex,
          cycle,
          countCommand: () => base.count('CommandCount'),
          onRelease: async () => {
            if (session !== undefined && session !== opened) return
            session = undefined
            await fieldOff().catch(() => undefined)
          },
        })
        session = opened
        return opened
      }

      async function poll(signal: AbortSignal): Promise<PollOutcome> {
        await reset
        base.update({ state: 'polling' })
        let found = await port.call('field', { on: true })
        cards = found.cards
        for (;;) {
          await gate.until(() => (cards > 0 ? true : undefined), signal)
          if (cards > 1) {
            base.count('CollisionCount')
            base.update({ state: 'collision' })
            base.emit({ type: 'collision' })
            await fieldOff()
            return { kind: 'collision' }
          }
          const powered = await port.call('powerOn', {})
          if (powered.kind === 'atr') {
            found = await port.call('field', { on: true })
            const opened = openSession(powered.atr, powered.cycle)
            return { kind: 'session', session: opened, technology: found.technology ?? 'A' }
          }
          // A tag that is no payment card, or one that was too short in the field: look again when something moves.
          base.count('FailedReadCount')
          const seen = cards
          await gate.until(() => (cards !== seen ? true : undefined), signal)
        }
      }

      return {
        ...base.device,
        capabilities: { controlsField: true },
        poll: (signal) =>
          base.operation({ signal, lane: 'poll' }, async (inner) => {
            if (session?.live()) {
              throw deviceError('DEVICE_BUSY', 'a card session is open', { device: context.id })
            }
            try {
              return await poll(inner)
            } catch (error) {
              await fieldOff().catch(() => undefined)
              throw error
            }
          }),
        fieldOff: () => base.operation({}, () => fieldOff()),
      }
    },
  }
}
