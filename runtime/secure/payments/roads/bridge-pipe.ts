// Pipes: TCP connections that the open world holds and the secure world reads and writes, as Duplex streams.
import { Duplex } from 'node:stream'
import { PosternError } from '../../../../hal/base/errors.js'
import type { Client, Served } from '../../../api/contract.js'
import type { OpenMethods, SecureMethods } from '../../../bridge/contract.js'

/** Bytes of one frame over the bridge. */
const FRAME_BYTES = 32 * 1024
/** Frames kept of pipes whose opening has not been answered yet; beyond that they are refused. */
const MAX_EARLY = 8

type PipeClient = Pick<Client<typeof OpenMethods>, 'pipe.open' | 'pipe.write' | 'pipe.close'>
type PipeServed = Pick<Served<typeof SecureMethods>, 'pipe.data' | 'pipe.closed'>

export interface BridgePipes {
  /** @throws PosternError `ROAD_CLOSED` when there is no open world, or it cannot connect; `ABORTED` */
  open(host: string, port: number, signal: AbortSignal): Promise<Duplex>
  /** To be served on the bridge. */
  readonly methods: PipeServed
  /** The open world is gone: every pipe ends. */
  disconnected(): void
}

/** One pipe. Reading is paced by the reader: `feed` resolves once there is room for more. */
class PipeStream extends Duplex {
  #room: (() => void) | undefined
  readonly #send: (data: string) => Promise<unknown>
  readonly #gone: () => void

  constructor(send: (data: string) => Promise<unknown>, gone: () => void) {
    super({ allowHalfOpen: false, readableHighWaterMark: FRAME_BYTES, writableHighWaterMark: FRAME_BYTES })
    this.#send = send
    this.#gone = gone
  }

  feed(bytes: Buffer): Promise<void> {
    if (this.destroyed || this.readableEnded || this.push(bytes)) return Promise.resolve()
    return new Promise((resolve) => {
      this.#room = resolve
    })
  }

  override _read(): void {
    this.#room?.()
    this.#room = undefined
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const write = async () => {
      for (let at = 0; at < chunk.length; at += FRAME_BYTES)
        await this.#send(chunk.subarray(at, at + FRAME_BYTES).toString('base64'))
    }
    write().then(
      () => done(),
      (cause) => done(new PosternError('ROAD_CLOSED', 'the pipe is gone', {}, cause)),
    )
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this._read()
    this.#gone()
    done(error)
  }
}

type Early =
  | { readonly kind: 'data'; readonly data: string }
  | { readonly kind: 'closed'; readonly reason: string }

/** Pipes over the bridge; `remote` is the open world as it is connected now, or undefined. */
export function createBridgePipes(remote: () => PipeClient | undefined): BridgePipes {
  const pipes = new Map<number, PipeStream>()
  const early = new Map<number, Early[]>()
  let opening = 0

  /** What arrives between the open world's connecting and our hearing of it. */
  function keepEarly(pipe: number, event: Early): void {
    const kept = [...early.values()].reduce((sum, events) => sum + events.length, 0)
    if (opening === 0 || kept >= MAX_EARLY) return
    early.set(pipe, [...(early.get(pipe) ?? []), event])
  }
  const end = (stream: PipeStream) => void stream.push(null)

  return {
    async open(host, port, signal) {
      const client = remote()
      if (client === undefined) throw new PosternError('ROAD_CLOSED', 'the open world is not there')
      opening++
      try {
        const { pipe } = await client['pipe.open']({ host, port }, signal)
        const stream = new PipeStream(
          (data) => client['pipe.write']({ pipe, data }),
          () => {
            if (pipes.delete(pipe)) void client['pipe.close']({ pipe }).catch(() => undefined)
          },
        )
        pipes.set(pipe, stream)
        for (const event of early.get(pipe) ?? []) {
          if (event.kind === 'data') void stream.feed(Buffer.from(event.data, 'base64'))
          else end(stream)
        }
        return stream
      } catch (cause) {
        if (signal.aborted) throw new PosternError('ABORTED', 'cancelled', {}, cause)
        throw new PosternError('ROAD_CLOSED', 'no connection to the acquirer', { host, port }, cause)
      } finally {
        opening--
        if (opening === 0) early.clear()
      }
    },
    methods: {
      'pipe.data': async ({ pipe, data }) => {
        const stream = pipes.get(pipe)
        if (stream === undefined) keepEarly(pipe, { kind: 'data', data })
        else await stream.feed(Buffer.from(data, 'base64'))
        return null
      },
      'pipe.closed': ({ pipe, reason }) => {
        const stream = pipes.get(pipe)
        if (stream === undefined) keepEarly(pipe, { kind: 'closed', reason })
        else end(stream)
        return null
      },
    },
    disconnected() {
      for (const stream of [...pipes.values()]) stream.destroy()
    },
  }
}
