// What every answer of the development acquirer shares: what it works with, what it repeats, and its way out.
import type { Clock } from '../../../hal/base/clock.js'
import type { Log } from '../../../hal/base/log.js'
import type { Message } from '../../../runtime/secure/payments/iso8583/codec.js'
import type { IssuerHost } from '../issuer/issuer-host.js'
import type { HostKeys } from './host-keys.js'
import type { Ledger } from './ledger.js'
import type { Delivery, Rule } from './rules.js'

export interface AcquirerOptions {
  readonly keys: HostKeys
  readonly issuer: IssuerHost
  readonly ledger: Ledger
  readonly rules: readonly Rule[]
  /** Terminals that may send, with the merchant each belongs to. */
  readonly terminals: readonly { readonly terminalId: string; readonly merchantId: string }[]
  readonly clock: Clock
  readonly log: Log
}

export type Fields = Record<string, string | Uint8Array>

/** The fields of an answer but those of its security, and how it leaves. */
export interface Reply {
  readonly fields: Fields
  readonly delivery: Delivery['kind']
}

/** What the answer repeats of its request. */
export function echo(message: Message, numbers: readonly number[]): Fields {
  const fields: Fields = {}
  for (const number of numbers) {
    const value = message.fields.get(String(number))
    if (value !== undefined) fields[number] = value
  }
  return fields
}

/** A text field, empty where absent. */
export const text = (message: Message, number: number): string => {
  const value = message.fields.get(String(number))
  return typeof value === 'string' ? value : ''
}

/** A binary field, empty where absent. */
export const bytesOf = (message: Message, number: number): Uint8Array => {
  const value = message.fields.get(String(number))
  return value instanceof Uint8Array ? value : new Uint8Array(0)
}

/** Without the leading zeros of the wire. */
export const decimal = (digits: string): string => BigInt(digits).toString()

/** Fields that answers to money messages repeat. */
export const ECHOED = [3, 4, 7, 11, 12, 13, 24, 41, 42, 49]
