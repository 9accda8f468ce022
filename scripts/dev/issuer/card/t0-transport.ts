// T=0 as PC/SC shows it: outgoing data are fetched by GET RESPONSE after 61xx, a wrong Le is answered 6Cxx (EMV Book 1, 9.3.1).
import { concat, equalBytes } from '../../../../hal/base/bytes.js'
import { encodeResponse, parseCommand, type Response, SW } from './apdu.js'

const GET_RESPONSE = 0xc0

const words = (sw1: number, sw2: number): Uint8Array => Uint8Array.of(sw1, sw2 & 0xff)

/** Puts T=0's habits around a card that answers at once. */
export class T0Transport {
  readonly #run: (command: Uint8Array) => Response
  #waiting: Response | undefined
  #repeat: { readonly header: Uint8Array; readonly response: Response } | undefined

  constructor(run: (command: Uint8Array) => Response) {
    this.#run = run
  }

  reset(): void {
    this.#waiting = undefined
    this.#repeat = undefined
  }

  transmit(bytes: Uint8Array): Uint8Array {
    const command = parseCommand(bytes)
    if (command === undefined) return words(SW.wrongLength >> 8, SW.wrongLength)
    const waiting = this.#waiting
    const repeat = this.#repeat
    this.#waiting = undefined
    this.#repeat = undefined
    if (command.ins === GET_RESPONSE && command.cla === 0)
      return waiting === undefined
        ? words(SW.conditions >> 8, SW.conditions)
        : this.#fetch(waiting, command.le ?? 256)
    if (command.data.length > 0) {
      const response = this.#run(bytes)
      if (response.data.length === 0) return encodeResponse(response)
      this.#waiting = response
      return words(0x61, response.data.length)
    }
    const again = repeat !== undefined && equalBytes(repeat.header, command.header)
    const response = again ? repeat.response : this.#run(bytes)
    if (response.data.length === 0 || response.data.length === command.le) return encodeResponse(response)
    this.#repeat = { header: command.header, response }
    return words(0x6c, response.data.length)
  }

  /** The whole with its own status words, a part with 61xx for the rest, or 6Cxx where more is asked than there is. */
  #fetch(response: Response, le: number): Uint8Array {
    const { data } = response
    if (le > data.length) {
      this.#waiting = response
      return words(0x6c, data.length)
    }
    if (le === data.length) return encodeResponse(response)
    this.#waiting = { data: data.slice(le), sw: response.sw }
    return concat(data.slice(0, le), words(0x61, data.length - le))
  }
}
