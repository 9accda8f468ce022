// A faulty way to the payment gateway: envelopes and answers pass when a test says so, in its order, and as often.
import { connect, createServer, type Socket } from 'node:net'
import { connectContract } from '../../runtime/api/contract.js'
import {
  type GatewayAnswer,
  type GatewayRequest,
  LocalGatewayMethods,
  LocalTerminalMethods,
} from '../../runtime/bridge/gateway.js'

export interface GatewayProxy {
  /** What becomes of an envelope; `pass` may be called later, again, or never. Throwing: it was not even taken. */
  onRequest: (request: GatewayRequest, pass: () => void) => void
  onAnswer: (answer: GatewayAnswer, pass: () => void) => void
  /** Breaks the terminal's connection; it comes back unless `open` is false. */
  cut(): void
  open: boolean
  /** Everything that was answered or refused, as it came from the gateway. */
  readonly answers: readonly GatewayAnswer[]
  close(): Promise<void>
}

/** Listens on `socket` and leads to the gateway behind `target`. */
export async function startGatewayProxy(socket: string, target: string): Promise<GatewayProxy> {
  const answers: GatewayAnswer[] = []
  let terminal: { readonly line: Socket; answer(answer: GatewayAnswer): void } | undefined
  const upstream = connect(target)
  await new Promise<void>((resolve, reject) => upstream.once('connect', resolve).once('error', reject))
  const { remote: gateway } = connectContract(
    upstream,
    LocalTerminalMethods,
    {
      'answer.take': (answer) => {
        answers.push(answer)
        proxy.onAnswer(answer, () => terminal?.answer(answer))
        return null
      },
    },
    LocalGatewayMethods,
  )
  const server = createServer((line) => {
    if (!proxy.open) return void line.destroy()
    const { remote } = connectContract(
      line,
      LocalGatewayMethods,
      {
        'envelope.take': (request) => {
          proxy.onRequest(request, () => void gateway['envelope.take'](request).catch(() => undefined))
          return null
        },
      },
      LocalTerminalMethods,
    )
    terminal = { line, answer: (answer) => void remote['answer.take'](answer).catch(() => undefined) }
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(socket, resolve))
  const proxy: GatewayProxy = {
    onRequest: (_request, pass) => pass(),
    onAnswer: (_answer, pass) => pass(),
    cut: () => terminal?.line.destroy(),
    open: true,
    answers,
    close: () =>
      new Promise((resolve) => {
        proxy.cut()
        upstream.destroy()
        server.close(() => resolve())
      }),
  }
  return proxy
}
