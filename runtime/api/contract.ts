// A contract is a table of methods with the schemas of what goes in and comes out; both sides check every message.
import type { Duplex } from 'node:stream'
import { type Static, type TSchema, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { connectRpc, RpcError, type RpcHandler, type RpcPeer } from './json-rpc.js'

/** One method: `params` what the caller sends, `result` what it gets. */
export interface Method {
  readonly params: TSchema
  readonly result: TSchema
}
export type Contract = Readonly<Record<string, Method>>

/** The functions that serve a contract. */
export type Served<C extends Contract> = {
  readonly [M in keyof C]: (
    params: Static<C[M]['params']>,
    signal: AbortSignal,
  ) => Promise<Static<C[M]['result']>> | Static<C[M]['result']>
}
/** The functions that call it on the other side. */
export type Client<C extends Contract> = {
  readonly [M in keyof C]: (
    params: Static<C[M]['params']>,
    signal?: AbortSignal,
  ) => Promise<Static<C[M]['result']>>
}

/** For methods without arguments or without an answer. */
export const Nothing = Type.Union([
  Type.Null(),
  Type.Undefined(),
  Type.Object({}, { additionalProperties: false }),
])

type Check = (value: unknown) => string | undefined
const compiled = new WeakMap<TSchema, Check>()

/** Compiles a schema once; the check returns the first fault as `path: message`, or undefined. */
export function checker(schema: TSchema): Check {
  let check = compiled.get(schema)
  if (check === undefined) {
    const validator = Compile(schema)
    check = (value) => {
      if (validator.Check(value)) return undefined
      const first = validator.Errors(value)[0]
      return `${first?.instancePath || '/'}: ${first?.message ?? 'not as the schema asks'}`
    }
    compiled.set(schema, check)
  }
  return check
}

/**
 * Joins two contracts over one stream: `own` is served by `implementation`, `theirs` is what can be called.
 * Bad parameters are refused with `INVALID_PARAMS` and a path; a bad result becomes `INVALID_RESULT` at the caller.
 */
export function connectContract<Own extends Contract, Theirs extends Contract>(
  stream: Duplex,
  own: Own,
  implementation: Served<Own>,
  theirs: Theirs,
  onFault?: (method: string, error: unknown) => void,
): { readonly remote: Client<Theirs>; readonly peer: RpcPeer } {
  const handlers: Record<string, RpcHandler> = {}
  for (const name of Object.keys(own) as (keyof Own & string)[]) {
    const check = checker(own[name]!.params)
    handlers[name] = (params, signal) => {
      const value = params ?? null
      const fault = check(value)
      if (fault !== undefined) throw new RpcError('INVALID_PARAMS', `${name} ${fault}`)
      return implementation[name](value as never, signal)
    }
  }
  const peer = connectRpc(stream, handlers, onFault)
  const remote: Record<string, (params: unknown, signal?: AbortSignal) => Promise<unknown>> = {}
  for (const name of Object.keys(theirs)) {
    const check = checker(theirs[name]!.result)
    remote[name] = async (params, signal) => {
      const result = await peer.call(name, params, signal)
      const fault = check(result)
      if (fault !== undefined) throw new RpcError('INVALID_RESULT', `${name} answered ${fault}`)
      return result
    }
  }
  return { remote: remote as Client<Theirs>, peer }
}
