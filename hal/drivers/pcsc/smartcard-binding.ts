// `smartcard` (N-API: one build for every Node) behind the PC/SC trait.
import { MAX_RESPONSE, type PcscBinding, type PcscReader, probeDaemon } from './pcsc-binding.js'
import { SMARTCARD_WORDS, STATE } from './pcsc-codes.js'

/** The part of the library that is used. */
interface Card {
  readonly protocol: number
  transmit(command: Buffer, options: { maxRecvLength: number }): Promise<Buffer>
  reconnect(share: number, protocols: number, initialization: number): Promise<number>
  disconnect(disposition: number): void
}
interface Context {
  listReaders(): { readonly name: string; connect(share: number, protocols: number): Promise<Card> }[]
  waitForChange(
    readers: { name: string; state: number }[],
    timeoutMs: number,
  ): Promise<{ name: string; state: number; atr: Buffer | null }[] | null>
  close(): void
}
interface Library {
  readonly Context: new () => Context
  readonly SCARD_SHARE_EXCLUSIVE: number
  readonly SCARD_PROTOCOL_T0: number
  readonly SCARD_PROTOCOL_T1: number
  readonly SCARD_LEAVE_CARD: number
}

/** A look takes 0.2 ms. Waiting inside the library instead would keep one of Node's four pool threads for ever. */
const LOOK_MS = 100
/** The list of readers is asked for less often. */
const LIST_EVERY = 5

/** The library tells errors by its own words only: they get their number back, which `pcscFailure` decides on. */
function numbered(error: unknown): Error {
  const words = error instanceof Error ? error.message : String(error)
  const code = SMARTCARD_WORDS[words]
  return code === undefined
    ? new Error(words, { cause: error })
    : new Error(`${words} (0x${code})`, { cause: error })
}

/** A reader with a context of its own: the library locks a context while a call is under way. */
function asReader(library: Library, name: string): PcscReader {
  let context: Context | undefined
  let card: Card | undefined
  /**
   * The library only has a disconnect that blocks the process, for as long as the daemon takes for the card. So the card
   * is reset beside us, and then left, which waits for nothing: the daemon takes its power off 5 s later.
   */
  async function off(): Promise<void> {
    const was = card
    card = undefined
    if (was === undefined) return
    try {
      await was.reconnect(library.SCARD_SHARE_EXCLUSIVE, protocols, POWER_OFF)
    } finally {
      was.disconnect(library.SCARD_LEAVE_CARD)
    }
  }
  const protocols = library.SCARD_PROTOCOL_T0 | library.SCARD_PROTOCOL_T1
  return {
    name,
    async connect() {
      try {
        if (card !== undefined) return protocolOf(library, card)
        context ??= new library.Context()
        const reader = context.listReaders().find((each) => each.name === name)
        if (reader === undefined) throw new Error('Unknown reader')
        card = await reader.connect(library.SCARD_SHARE_EXCLUSIVE, protocols)
        return protocolOf(library, card)
      } catch (error) {
        throw numbered(error)
      }
    },
    async disconnect() {
      try {
        await off()
      } catch (error) {
        throw numbered(error)
      }
    },
    async transmit(command) {
      const bytes = Buffer.from(command)
      try {
        if (card === undefined) throw new Error('Card is not connected')
        const response = await card.transmit(bytes, { maxRecvLength: MAX_RESPONSE })
        const out = new Uint8Array(response)
        response.fill(0)
        return out
      } catch (error) {
        throw numbered(error)
      } finally {
        bytes.fill(0)
      }
    },
    close() {
      const was = context
      context = undefined
      void off()
        .catch(() => undefined)
        .then(() => was?.close())
    },
  }
}

/** SCARD_UNPOWER_CARD: a cold reset. */
const POWER_OFF = 2

function protocolOf(library: Library, card: Card): 'T=0' | 'T=1' {
  return card.protocol === library.SCARD_PROTOCOL_T1 ? 'T=1' : 'T=0'
}

/** Loads the library. @throws where it was not built */
export async function smartcardBinding(): Promise<PcscBinding> {
  const library = ((await import('smartcard')) as unknown as { default: Library }).default
  return {
    library: 'smartcard',
    probe: probeDaemon,
    watch(events) {
      const readers = new Map<string, { readonly reader: PcscReader; state: number }>()
      let over = false
      let timer: NodeJS.Timeout | undefined
      let context: Context | undefined
      let looks = 0
      const end = () => {
        over = true
        clearTimeout(timer)
        context?.close()
        context = undefined
      }

      function list(watching: Context): void {
        const names = watching.listReaders().map(({ name }) => name)
        for (const [name, { reader }] of readers) {
          if (names.includes(name)) continue
          readers.delete(name)
          events.readerGone(reader)
        }
        for (const name of names) {
          if (readers.has(name) || over) continue
          const reader = asReader(library, name)
          readers.set(name, { reader, state: 0 })
          events.reader(reader)
        }
      }

      async function look(): Promise<void> {
        context ??= new library.Context()
        if (looks++ % LIST_EVERY === 0) list(context)
        if (over || readers.size === 0) return
        const asked = [...readers].map(([name, { state }]) => ({ name, state }))
        const seen = await context.waitForChange(asked, 0)
        for (const { name, state, atr } of seen ?? []) {
          const known = readers.get(name)
          const now = (state & ~STATE.changed) >>> 0
          if (over || known === undefined || now === known.state) continue
          known.state = now
          events.state(known.reader, now, new Uint8Array(atr ?? []))
        }
      }

      async function turn(): Promise<void> {
        try {
          await look()
        } catch (error) {
          if (over) return
          // A reader that went between the list and the look is no news about the daemon.
          if (numbered(error).message.includes(SMARTCARD_WORDS['Unknown reader']!)) looks = 0
          else {
            end()
            return events.failed('the PC/SC daemon went away')
          }
        }
        if (!over) timer = setTimeout(() => void turn(), LOOK_MS)
      }
      timer = setTimeout(() => void turn(), 0)
      return end
    },
  }
}
