// An app that does what a test's messages tell it, and publishes what it saw.
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { Socket } from 'node:net'
import { connectHost, type Host } from '../../../../../runtime/api/client.js'

interface Command {
  readonly do: 'call' | 'calls' | 'exit' | 'hang' | 'env' | 'fork' | 'abort' | 'raw'
  readonly method?: keyof Host
  readonly params?: unknown
  readonly count?: number
  readonly code?: number
  readonly text?: string
  readonly keep?: boolean
}

const stream = new Socket({ fd: 3 })
const say = (report: unknown) => host['messages.publish']({ topic: 'report', payload: report })
const call = async (method: keyof Host, params: unknown, signal?: AbortSignal) => {
  try {
    return {
      method,
      result: await (host[method] as (p: unknown, s?: AbortSignal) => Promise<unknown>)(params, signal),
    }
  } catch (error) {
    return { method, code: (error as { code?: string }).code }
  }
}

async function obey(command: Command): Promise<void> {
  switch (command.do) {
    case 'call':
      return void (await say(await call(command.method!, command.params)))
    case 'calls': {
      const all: object[] = []
      while (all.length < command.count!)
        all.push(
          ...(await Promise.all(Array.from({ length: 100 }, () => call(command.method!, command.params)))),
        )
      const refused = all.filter((one) => 'code' in one && one.code === 'RATE_LIMITED').length
      await new Promise((resolve) => setTimeout(resolve, 1500))
      return void (await say({ refused }))
    }
    case 'abort': {
      const controller = new AbortController()
      setTimeout(() => controller.abort(), 50)
      return void (await say(await call(command.method!, command.params, controller.signal)))
    }
    case 'exit':
      return process.exit(command.code ?? 1)
    case 'hang':
      for (;;);
    case 'raw':
      return void stream.write(command.text!.repeat(command.count ?? 1))
    case 'fork': {
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
      return void (await say({ forked: child.pid }))
    }
    case 'env': {
      const descriptors = readdirSync('/proc/self/fd').map((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`)
        } catch {
          return ''
        }
      })
      const status = Object.fromEntries(
        readFileSync('/proc/self/status', 'utf8')
          .split('\n')
          .map((line) => line.split(':\t') as [string, string]),
      )
      return void (await say({
        env: process.env,
        cwd: process.cwd(),
        descriptors,
        uid: process.getuid?.(),
        noNewPrivileges: status['NoNewPrivs'],
        capabilities: status['CapEff'],
        bounding: status['CapBnd'],
      }))
    }
  }
}

const { host } = connectHost(
  {
    'event.context': (context) =>
      void say({ event: 'context', online: context.online, operator: context.operator }),
    'event.scan': (scan) => void say({ event: 'scan', ...scan }),
    'event.payment': (view) => void say({ event: 'payment', key: view.key, outcome: view.outcome }),
    'event.message': async ({ id, payload }) => {
      const command = payload as Command
      if (!command.keep) await host['messages.ack']({ id })
      setTimeout(() => void obey(command), 0)
    },
    'app.stop': () => {
      setTimeout(() => process.exit(0), 0)
    },
  },
  stream,
)
console.log('probe starts with card 4111 1111 1111 1111')
const context = await host['app.ready'](null)
await say({ event: 'ready', pid: process.pid, context })
