// A PN532 as its manual tells it, with cards in its field: what the driver's commands are answered with, faults included. UM0701-02.
import { concat } from '../../../hal/base/bytes.js'
import { ACK, createFrameReader, encodeFrame, NACK, TFI } from '../../../hal/drivers/pn532/frames.js'
import type { VirtualCard } from '../../../hal/simulated/virtual-card.js'

interface InField {
  readonly card: VirtualCard
  readonly technology: 'A' | 'B'
  readonly uid: Uint8Array
  readonly part4: boolean
  gone: boolean
}

/** Faults that are used up once they happened. */
interface Faults {
  /** Commands that are not acknowledged. */
  deaf: number
  /** Answers whose check sum is wrong. */
  broken: number
  /** Each answer of a card is cut into pieces of so many bytes. */
  piece: number
}

/** `send` puts bytes on the line. */
export function createPn532Machine(send: (bytes: Uint8Array) => void) {
  let reader = createFrameReader()
  let awake = false
  let field = false
  let inField: InField[] = []
  let active: InField | undefined
  let commands = 0
  let chained: Uint8Array[] = []
  let rest: Uint8Array = new Uint8Array(0)
  let last: Uint8Array = new Uint8Array(0)
  let run = 0
  const faults: Faults = { deaf: 0, broken: 0, piece: 254 }
  const aborts = { count: 0 }
  const waiting = new Set<() => void>()

  const answer = (...data: number[]) => {
    last = encodeFrame(Uint8Array.from(data), TFI.chip)
    const bytes = last.slice()
    if (faults.broken > 0) {
      faults.broken--
      bytes[bytes.length - 2]! ^= 0x01
    }
    send(bytes)
  }
  const drop = () => {
    active?.card.powerOff()
    active = undefined
    chained = []
    rest = new Uint8Array(0)
  }
  function list(max: number, technology: 'A' | 'B'): number[] {
    drop()
    field = true
    const found = inField.filter((each) => each.technology === technology).slice(0, max)
    if (found.length === 1 && found[0]!.part4) {
      active = found[0]
      active!.card.powerOn()
    }
    return found
      .flatMap(({ uid, part4 }, at) =>
        technology === 'A'
          ? [
              at + 1,
              0x00,
              0x04,
              part4 ? 0x20 : 0x00,
              uid.length,
              ...uid,
              ...(part4 ? [0x06, 0x75, 0x77, 0x81, 0x02, 0x80] : []),
            ]
          : [at + 1, 0x50, ...uid.subarray(0, 4), 1, 2, 3, 4, 0x00, 0x81, 0x81, 0x01, 0x21],
      )
      .toSpliced(0, 0, found.length)
  }
  /** The next piece of what the card said. */
  function piece(): void {
    const now = rest.subarray(0, faults.piece)
    rest = rest.slice(faults.piece)
    answer(0x41, rest.length > 0 ? 0x40 : 0x00, ...now)
  }
  async function exchange(target: number, data: Uint8Array, mine: number): Promise<void> {
    const card = active
    if (card === undefined || card.gone) return answer(0x41, 0x01)
    if ((target & 0x40) !== 0) {
      chained.push(data)
      return answer(0x41, 0x00)
    }
    if (data.length === 0) return piece()
    const command = concat(...chained.splice(0), data)
    commands++
    const left = new Promise<'left'>((resolve) => waiting.add(() => resolve('left')))
    const response = await Promise.race([card.card.transmit(command), left])
    if (mine !== run) return
    if (response === 'left' || card.gone) return answer(0x41, 0x01)
    // A silent card: the chip waits for it until the host loses its patience.
    if (response === undefined) return
    rest = response.slice()
    piece()
  }
  function command(data: Uint8Array): void {
    const mine = ++run
    const [code, a = 0, b = 0] = data
    switch (code) {
      case 0x00:
        return a === 0x06 ? answer(0x01, active !== undefined && !active.gone ? 0x00 : 0x01) : undefined
      case 0x02:
        return answer(0x03, 0x32, 0x01, 0x06, 0x07)
      case 0x14:
        return answer(0x15)
      case 0x32:
        if (a === 0x01) {
          field = (b & 1) !== 0
          if (!field) drop()
        }
        return answer(0x33)
      case 0x4a:
        return answer(0x4b, ...list(a, b === 0x03 ? 'B' : 'A'))
      case 0x40:
        return void exchange(a, data.slice(2), mine)
      default:
        return void send(Uint8Array.of(0, 0, 0xff, 0x01, 0xff, 0x7f, 0x81, 0))
    }
  }
  return {
    faults,
    aborts,
    commands: () => commands,
    field: () => field,
    receive(bytes: Uint8Array) {
      awake ||= bytes.includes(0x55)
      if (!awake) return
      for (const frame of reader.push(bytes)) {
        if (frame.kind === 'ack') {
          aborts.count++
          run++
        } else if (frame.kind === 'nack') send(last)
        else if (frame.kind === 'data' && frame.tfi === TFI.host) {
          if (faults.deaf > 0) faults.deaf--
          else {
            send(ACK)
            command(frame.data)
          }
        } else send(NACK)
      }
    },
    tap(card: VirtualCard, options: { technology?: 'A' | 'B'; uid?: Uint8Array; part4?: boolean } = {}) {
      const {
        technology = 'A',
        uid = Uint8Array.of(0x04, 0x11, 0x22, inField.length),
        part4 = true,
      } = options
      inField.push({ card, technology, uid, part4, gone: false })
    },
    leave() {
      for (const each of inField) each.gone = true
      inField = []
      for (const tell of waiting) tell()
      waiting.clear()
    },
    powerLoss() {
      drop()
      run++
      awake = false
      field = false
      reader = createFrameReader()
    },
  }
}
