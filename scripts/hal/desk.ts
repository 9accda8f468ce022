// The technician at a terminal: yes or no by a key and Enter; nobody where input is piped or --yes was given.
import { createInterface } from 'node:readline'
import type { SelfTestDesk } from '../../hal/self-test.js'

export function consoleDesk(options: {
  readonly yes: boolean
  readonly tell: (line: string) => void
}): SelfTestDesk & {
  close(): void
} {
  const { stdin, stderr } = process
  if (options.yes || !stdin.isTTY)
    return {
      tell: options.tell,
      confirm: async () => 'unasked',
      close: () => undefined,
    }
  const lines = createInterface({ input: stdin, output: stderr })
  // readline takes Ctrl+C for itself; whoever runs us listens to the signal.
  lines.on('SIGINT', () => process.emit('SIGINT'))
  return {
    tell: options.tell,
    async confirm(question, signal) {
      for (;;) {
        const answer = await new Promise<string>((resolve, reject) => {
          if (signal.aborted) return reject(signal.reason)
          signal.addEventListener('abort', () => reject(signal.reason), { once: true })
          lines.question(`${question} (y or n) `, { signal }, resolve)
        })
        const word = answer.trim().toLowerCase()
        if (word === 'y' || word === 'yes') return 'yes'
        if (word === 'n' || word === 'no') return 'no'
      }
    },
    close: () => lines.close(),
  }
}
