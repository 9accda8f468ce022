// Driver of the virtual handheld's signature glass.
import { createGate } from '../base/gate.js'
import type { Driver } from '../board.js'
import { createDeviceBase } from '../device-base.js'
import { MAX_STROKE_POINTS, MAX_STROKES, type SignatureOutcome, type SignaturePad } from '../signature-pad.js'
import { type BusConnector, BusOptions, joinPeripheral, socketBus } from './bus-device.js'

export function signaturePadDriver(connect: BusConnector = socketBus): Driver<SignaturePad> {
  return {
    name: 'simulated',
    deviceClass: 'signature-pad',
    optionsSchema: BusOptions,
    async open(options: BusOptions, context) {
      const base = createDeviceBase<'signature-pad', 'idle' | 'capturing'>(
        context,
        'signature-pad',
        'simulated',
        'idle',
      )
      const gate = createGate()
      let outcome: SignatureOutcome | undefined
      let size = { width: 0, height: 0 }
      const port = await joinPeripheral(base, connect(options, context), 'signature-pad', {
        attached(state, wire) {
          size = state
          // A process that crashed may have left the glass recording.
          wire.call('capture', { on: false }).catch(() => undefined)
          return undefined
        },
        event(event) {
          if (base.device.status().state !== 'capturing') return
          if (event.type === 'cleared') outcome = { kind: 'cleared' }
          else {
            const strokes = event.strokes
              .slice(0, MAX_STROKES)
              .map((stroke) => stroke.slice(0, MAX_STROKE_POINTS))
            outcome = { kind: 'signed', strokes, ...size }
          }
          gate.notify()
        },
      })
      return {
        ...base.device,
        capture: (signal) =>
          base.operation({ signal, lane: 'capture' }, async (inner) => {
            outcome = undefined
            base.update({ state: 'capturing' })
            try {
              await port.call('capture', { on: true })
              const captured = await gate.until(() => outcome, inner)
              if (captured.kind === 'signed') base.count('GoodSignatureReadCount')
              return captured
            } finally {
              outcome = undefined
              await port.call('capture', { on: false }).catch(() => undefined)
              base.update({ state: 'idle' })
            }
          }),
      }
    },
  }
}
