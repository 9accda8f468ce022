// The ceremony's desk as a console: raw input without echo, a screen that is emptied between custodians.
import type { ReadStream } from 'node:tty'
import { erase } from '../../hal/base/bytes.js'
import { PosternError } from '../../hal/base/errors.js'
import type { CeremonyDesk } from './ceremony.js'

const MAX_LINE = 256

/** Reads a line byte by byte; a star is shown for each where it is secret. The bytes never become a string. */
function readLine(input: ReadStream, output: NodeJS.WritableStream, secret: boolean): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const line = new Uint8Array(MAX_LINE)
    let length = 0
    input.setRawMode(true)
    input.resume()
    const end = (act: () => void) => {
      input.off('data', onData)
      input.pause()
      input.setRawMode(false)
      output.write('\n')
      act()
      erase(line)
    }
    const onData = (chunk: Buffer) => {
      for (const byte of chunk) {
        if (byte === 3) {
          chunk.fill(0)
          return end(() => reject(new PosternError('CEREMONY_ABORTED', 'the ceremony was broken off')))
        }
        if (byte === 13 || byte === 10) {
          chunk.fill(0)
          return end(() => resolve(line.slice(0, length)))
        }
        if (byte === 127 || byte === 8) {
          if (length > 0) output.write('\b \b')
          length = Math.max(0, length - 1)
          line[length] = 0
        } else if (byte >= 32 && byte < 127 && length < MAX_LINE) {
          line[length++] = byte
          output.write(secret ? '*' : String.fromCharCode(byte))
        }
      }
      chunk.fill(0)
    }
    input.on('data', onData)
  })
}

/** @throws PosternError `USAGE` where no person sits at a console */
export function consoleDesk(): CeremonyDesk {
  const input = process.stdin
  const output = process.stderr
  if (!input.isTTY || !output.isTTY)
    throw new PosternError(
      'USAGE',
      'a ceremony is led at a console: components are typed by people, never piped in',
    )
  const ask = async (question: string, secret: boolean) => {
    output.write(`${question}: `)
    return readLine(input, output, secret)
  }
  return {
    tell: (text) => void output.write(`${text}\n`),
    async ready(text) {
      erase(await ask(text, false))
    },
    secret: (question) => ask(question, true),
    async confirm(question) {
      for (;;) {
        const answer = Buffer.from(await ask(`${question} (yes or no)`, false))
          .toString('latin1')
          .trim()
          .toLowerCase()
        if (answer === 'yes' || answer === 'no') return answer === 'yes'
      }
    },
    // Clears the screen and the scroll-back (ECMA-48 ED 2 and 3).
    clear: () => void output.write('\u001b[H\u001b[2J\u001b[3J'),
  }
}
