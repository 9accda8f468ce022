// Driver of the virtual handheld's chip card slot.
import { createGate } from '../base/gate.js'
import type { Driver } from '../board.js'
import type { ChipCardReader, ChipCardReaderState } from '../chip-card-reader.js'
import { createDeviceBase, deviceError } from '../device-base.js'
import { type BusConnector, BusOptions, joinPeripheral, socketBus } from './bus-device.js'
import { cardPort, createCardSession, type OpenCardSession } from './card-session.js'

export function chipCardReaderDriver(connect: BusConnector = socketBus): Driver<ChipCardReader> {
  return {
    name: 'simulated',
    deviceClass: 'chip-card-reader',
    optionsSchema: BusOptions,
    async open(options: BusOptions, context) {
      const base = createDeviceBase<'chip-card-reader', ChipCardReaderState>(
        context,
        'chip-card-reader',
        'simulated',
        'empty',
      )
      const gate = createGate()
      let session: OpenCardSession | undefined
      /** Grows with every insertion, so that a card that was gone for a moment is not taken for the same. */
      let insertion = 0

      const slot = (card: boolean) => {
        session?.cardGone()
        session = undefined
        insertion++
        base.update({ state: card ? 'present' : 'empty' })
        gate.notify()
      }
      const port = await joinPeripheral(base, connect(options, context), 'chip-card-reader', {
        attached: ({ card }) => {
          slot(card)
          return undefined
        },
        event({ type }) {
          if (type === 'inserted') base.count('CardInsertionCount')
          slot(type === 'inserted')
        },
        detached() {
          session?.cardGone()
          session = undefined
        },
      })
      const empty = () => base.device.status().state === 'empty'

      return {
        ...base.device,
        capabilities: { protocols: ['T=0', 'T=1'], exposesGetResponse: true },
        waitForCard: (signal) =>
          base.operation({ signal }, async (inner) => {
            await gate.until(() => (empty() ? undefined : true), inner)
          }),
        waitForRemoval: (signal) =>
          base.operation({ signal }, async (inner) => {
            // A card that went and one that came while nobody looked is a removal too.
            const seen = insertion
            await gate.until(() => (empty() || insertion !== seen ? true : undefined), inner)
          }),
        powerOn: (signal) =>
          base.operation({ signal, lane: 'powerOn' }, async (inner) => {
            if (session?.live()) {
              throw deviceError('DEVICE_BUSY', 'a card session is open', { device: context.id })
            }
            if (empty()) return { kind: 'removed' }
            const seen = insertion
            const result = await port.call('powerOn', {})
            if (result.kind === 'removed' || insertion !== seen) return { kind: 'removed' }
            if (result.kind === 'mute') {
              base.count('FailedReadCount')
              base.update({ state: 'mute' })
              return result
            }
            const opened = createCardSession({
              base,
              clock: context.clock,
              port: cardPort(port),
              atrHex: result.atr,
              cycle: result.cycle,
              countCommand: () => base.count('CommandCount'),
              onRelease: () => undefined,
            })
            if (inner.aborted) {
              await opened.release()
              throw inner.reason
            }
            session = opened
            base.count('GoodReadCount')
            base.update({ state: 'present' })
            return { kind: 'session', session: opened }
          }),
      }
    },
  }
}
