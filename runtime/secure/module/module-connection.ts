// One connection to a certified module for one payment: every call bounded, every fault one of the seam's codes.
import { connect, type Socket } from 'node:net'
import type { Clock } from '../../../hal/base/clock.js'
import { PosternError } from '../../../hal/base/errors.js'
import { type Client, connectContract, type Served } from '../../api/contract.js'
import { RpcError } from '../../api/json-rpc.js'
import { MODULE_PROTOCOL, ModuleMethods, TerminalMethods } from './module-contract.js'

const CONNECT_MS = 2000
const INFO_MS = 3000

type Methods = Client<typeof ModuleMethods>
type Params<M extends keyof Methods> = Parameters<Methods[M]>[0]
type Result<M extends keyof Methods> = Awaited<ReturnType<Methods[M]>>

export interface ModuleConnection {
  /**
   * Calls the module. @throws PosternError `DEVICE_LOST` when it is gone or silent for `withinMs`, `DEVICE_PROTOCOL` when it
   * breaks the contract, `KEY_UNAVAILABLE` as it says, `ABORTED` by `signal`. After the first two the connection is closed.
   */
  call<M extends keyof Methods>(
    method: M,
    params: Params<M>,
    withinMs: number,
    signal?: AbortSignal,
  ): Promise<Result<M>>
  open(): boolean
  close(): void
}

export interface ModuleConnectionOptions {
  readonly socketPath: string
  /** Refused with `MODULE_REFUSED` where it is false and the module says that it is a simulated one. */
  readonly acceptSimulated: boolean
  readonly clock: Clock
}

/**
 * Connects and asks who is there.
 * @throws PosternError `DEVICE_LOST`, `DEVICE_PROTOCOL`, `MODULE_REFUSED`, `ABORTED`
 */
export async function connectModule(
  { socketPath, acceptSimulated, clock }: ModuleConnectionOptions,
  serve: Served<typeof TerminalMethods>,
  signal: AbortSignal,
): Promise<ModuleConnection> {
  const socket = await reach(socketPath, clock, signal)
  const { remote, peer } = connectContract(socket, TerminalMethods, serve, ModuleMethods)
  let open = true
  void peer.closed.then(() => {
    open = false
  })
  const close = () => {
    open = false
    peer.close()
  }

  const connection: ModuleConnection = {
    open: () => open,
    close,
    async call(method, params, withinMs, asked) {
      const late = new AbortController()
      const answered = new AbortController()
      clock.sleep(withinMs, answered.signal).then(
        () => late.abort(),
        () => undefined,
      )
      const either = asked === undefined ? late.signal : AbortSignal.any([asked, late.signal])
      try {
        return (await remote[method](params as never, either)) as never
      } catch (error) {
        const fault = faultOf(error, method, asked?.aborted === true)
        if (fault.code === 'DEVICE_LOST' || fault.code === 'DEVICE_PROTOCOL') close()
        throw fault
      } finally {
        answered.abort()
      }
    },
  }
  try {
    const { protocol, simulated } = await connection.call('module.info', null, INFO_MS, signal)
    if (protocol !== MODULE_PROTOCOL)
      throw new PosternError('DEVICE_PROTOCOL', 'the card module speaks another protocol', {
        theirs: protocol,
        ours: MODULE_PROTOCOL,
      })
    if (simulated && !acceptSimulated)
      throw new PosternError('MODULE_REFUSED', 'a simulated card module takes no real payments')
  } catch (error) {
    close()
    throw error
  }
  return connection
}

/** The module's own words are not passed on: they may hold anything. */
function faultOf(error: unknown, method: string, aborted: boolean): PosternError {
  if (aborted) return new PosternError('ABORTED', 'cancelled')
  const code = error instanceof RpcError ? error.code : 'INTERNAL'
  switch (code) {
    case 'DISCONNECTED':
    case 'DEVICE_LOST':
      return new PosternError('DEVICE_LOST', 'the card module, or its reader, is gone', { method })
    case 'ABORTED':
      return new PosternError('DEVICE_LOST', 'the card module did not answer in time', { method })
    case 'KEY_UNAVAILABLE':
      return new PosternError('KEY_UNAVAILABLE', 'the card module has no usable keys', { method })
    default:
      return new PosternError('DEVICE_PROTOCOL', 'the card module broke its contract', { method })
  }
}

function reach(socketPath: string, clock: Clock, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new PosternError('ABORTED', 'cancelled'))
    const socket = connect(socketPath)
    const over = new AbortController()
    const give = (fault: PosternError | undefined) => {
      over.abort()
      signal.removeEventListener('abort', cancelled)
      if (fault === undefined) return resolve(socket)
      socket.destroy()
      reject(fault)
    }
    const cancelled = () => give(new PosternError('ABORTED', 'cancelled'))
    signal.addEventListener('abort', cancelled, { once: true })
    socket.once('connect', () => give(undefined))
    // The listener stays: an error of a socket that nobody listens to ends the process.
    socket.on('error', (error) =>
      give(new PosternError('DEVICE_LOST', 'the card module is not there', {}, error)),
    )
    clock.sleep(CONNECT_MS, over.signal).then(
      () => give(new PosternError('DEVICE_LOST', 'the card module does not accept connections')),
      () => undefined,
    )
  })
}
