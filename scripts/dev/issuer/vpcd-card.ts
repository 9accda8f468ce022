// A virtual card for vsmartcard's vpcd reader: TCP, two bytes of length and a message; one byte is control, more an APDU.
import { connect, type Socket } from 'node:net'
import { PosternError } from '../../../hal/base/errors.js'
import type { VirtualCard } from '../../../hal/simulated/virtual-card.js'

/** vpcd's port where its configuration names no other. */
export const VPCD_PORT = 35963

const CONTROL = { powerOff: 0, powerOn: 1, reset: 2, getAtr: 4 } as const

/** NOTE: vpcd takes an empty ATR for an empty slot; a mute card is shown by one that no reader can read. */
const BROKEN_ATR = Uint8Array.of(0x00)

/** A card that may take its time for a reset, as one behind a bus does. */
export type ReaderCard = Pick<VirtualCard, 'transmit' | 'powerOff'> & {
  powerOn(): Uint8Array | undefined | Promise<Uint8Array | undefined>
}

/** A card in the reader's slot. */
export interface InsertedCard {
  /** Pulls it out; resolves once the connection is closed. Idempotent. */
  remove(): Promise<void>
  /** Resolves when the card is out, be it pulled or the reader gone. */
  readonly removed: Promise<void>
}

function frame(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(message.length + 2)
  out.set([message.length >> 8, message.length & 0xff])
  out.set(message, 2)
  return out
}

/** Serves vpcd's messages in their order; a card that stays silent is shown as a reader sees it: no data at all. */
async function serve(socket: Socket, card: ReaderCard): Promise<void> {
  let atr: Uint8Array | undefined
  const reply = async (message: Uint8Array): Promise<Uint8Array | undefined> => {
    if (message.length !== 1) return (await card.transmit(message)) ?? new Uint8Array(0)
    switch (message[0]) {
      case CONTROL.powerOff:
        card.powerOff()
        atr = undefined
        return undefined
      case CONTROL.powerOn:
      case CONTROL.reset:
        atr = await card.powerOn()
        return undefined
      case CONTROL.getAtr:
        atr ??= await card.powerOn()
        return atr ?? BROKEN_ATR
      default:
        return undefined
    }
  }
  let pending = new Uint8Array(0)
  for await (const chunk of socket as AsyncIterable<Uint8Array>) {
    const joined = new Uint8Array(pending.length + chunk.length)
    joined.set(pending)
    joined.set(chunk, pending.length)
    pending = joined
    while (pending.length >= 2) {
      const length = pending[0]! * 256 + pending[1]!
      if (pending.length < 2 + length) break
      const message = pending.slice(2, 2 + length)
      pending = pending.slice(2 + length)
      const response = await reply(message)
      if (response !== undefined) socket.write(frame(response))
    }
  }
}

/**
 * Inserts a card into a vpcd reader by connecting to it; pulling it out is closing the connection.
 * @throws PosternError `DEVICE_LOST` where no reader listens within `timeoutMs`, default 5000.
 */
export async function insertIntoVpcd(
  card: ReaderCard,
  options: {
    readonly host?: string
    readonly port?: number
    /** A unix socket in front of the reader, in place of host and port. */
    readonly path?: string
    readonly timeoutMs?: number
  } = {},
): Promise<InsertedCard> {
  const { host = '127.0.0.1', port = VPCD_PORT, path, timeoutMs = 5000 } = options
  const socket = await new Promise<Socket>((resolve, reject) => {
    const attempt = path === undefined ? connect({ host, port }) : connect(path)
    const fail = (cause?: unknown) => {
      attempt.destroy()
      reject(
        new PosternError(
          'DEVICE_LOST',
          `no virtual reader at ${path ?? `${host}:${port}`}`,
          { host, port },
          cause,
        ),
      )
    }
    const timer = setTimeout(fail, timeoutMs)
    attempt.once('error', fail)
    attempt.once('connect', () => {
      clearTimeout(timer)
      attempt.off('error', fail)
      resolve(attempt)
    })
  })
  socket.setNoDelay(true)
  // A reader that goes away is a removal, not a fault.
  socket.on('error', () => socket.destroy())
  const removed = serve(socket, card)
    .catch(() => undefined)
    .then(() => {
      card.powerOff()
      socket.destroy()
    })
  return {
    removed,
    async remove() {
      socket.destroy()
      await removed
    },
  }
}
