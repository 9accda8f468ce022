// The ceremony's desk as a console: raw input without echo, a screen that is emptied between custodians.
import type { ReadStream } from 'node:tty'
import { erase } from '../../hal/base/bytes.js'
import { PosternError } from '../../hal/base/errors.js'
import type { CeremonyDesk } from './ceremony.js'

const MAX_LINE = 256
/** Ctrl-C, which a raw console gives as a byte. */
const INTERRUPT = 3

/** A desk that holds the console until it is closed. */
export interface ConsoleDesk extends CeremonyDesk {
  /** Gives the console back as it was. */
  close(): void
}

interface LineReader {
  take(byte: number): void
  fail(error: PosternError): void
}

const aborted = () =>
  new PosternError('CEREMONY_ABORTED', 'the ceremony was broken off: no key was loaded or given out')

/** Reads a line byte by byte; a star is shown for each where it is secret. The bytes never become a string. */
function lineReader(
  output: NodeJS.WritableStream,
  secret: boolean,
  end: (act: () => void) => void,
): { readonly line: Promise<Uint8Array>; readonly reader: LineReader } {
  const bytes = new Uint8Array(MAX_LINE)
  let length = 0
  let resolve: (line: Uint8Array) => void = () => undefined
  let reject: (error: PosternError) => void = () => undefined
  const promise = new Promise<Uint8Array>((done, fail) => {
    resolve = done
    reject = fail
  })
  const finish = (act: () => void) =>
    end(() => {
      output.write('\n')
      act()
      erase(bytes)
    })
  const reader: LineReader = {
    fail: (error) => finish(() => reject(error)),
    take(byte) {
      if (byte === 13 || byte === 10) finish(() => resolve(bytes.slice(0, length)))
      else if (byte === 127 || byte === 8) {
        if (length === 0) return
        output.write('\b \b')
        bytes[--length] = 0
      } else if (byte >= 32 && byte < 127 && length < MAX_LINE) {
        bytes[length++] = byte
        output.write(secret ? '*' : String.fromCharCode(byte))
      }
    },
  }
  return { line: promise, reader }
}

/**
 * Takes the console: raw from now on, so that nothing is ever echoed by it. What is typed while nothing is asked is
 * dropped: an answer given before its question counts for nothing.
 * @throws PosternError `USAGE` where no person sits at a console
 */
export function consoleDesk(): ConsoleDesk {
  const input: ReadStream = process.stdin
  const output = process.stderr
  if (!input.isTTY || !output.isTTY)
    throw new PosternError(
      'USAGE',
      'a ceremony is led at a console: components are typed by people, never piped in',
    )
  let reader: LineReader | undefined
  let broken = false
  const onData = (chunk: Buffer) => {
    for (const byte of chunk) {
      if (byte === INTERRUPT) {
        broken = true
        reader?.fail(aborted())
      } else reader?.take(byte)
    }
    chunk.fill(0)
  }
  input.setRawMode(true)
  input.on('data', onData)
  input.resume()

  async function ask(question: string, secret: boolean): Promise<Uint8Array> {
    if (broken) throw aborted()
    const asked = lineReader(output, secret, (act) => {
      reader = undefined
      act()
    })
    output.write(`${question}: `)
    reader = asked.reader
    return asked.line
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
    close() {
      input.off('data', onData)
      input.pause()
      input.setRawMode(false)
    },
  }
}
