// What is wrong with a value, for people: the key, the value, and what the schema would allow there.
import type { TSchema } from 'typebox'
import { Value } from 'typebox/value'

/** One wrong value. */
export interface SchemaFault {
  /** JSON pointer below the value checked; empty for the value itself. */
  readonly path: string
  /** The value as JSON, at most 60 characters. */
  readonly value: string
  /** What would be right, as the end of a sentence: `has to be true or false`. */
  readonly allowed: string
}

interface AnySchema {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly AnySchema[]
  readonly properties?: Readonly<Record<string, AnySchema>>
  readonly patternProperties?: Readonly<Record<string, AnySchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: AnySchema | boolean
  readonly items?: AnySchema
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
}

/** Everything that is wrong, one row a place, at most 20. Empty where `value` fits. */
export function schemaFaults(schema: TSchema | object, value: unknown): readonly SchemaFault[] {
  const faults = new Map<string, SchemaFault>()
  /** Faults in places that the schema has no words for: told only where they are all there is, but never dropped. */
  const unnamed: SchemaFault[] = []
  const add = (path: string, allowed: string, at: unknown) => {
    if (faults.size < 20 && !faults.has(path)) faults.set(path, { path, value: shown(at), allowed })
  }
  for (const error of Value.Errors(schema as TSchema, value)) {
    const path = error.instancePath
    const here = schemaAt(schema as AnySchema, path)
    const at = valueAt(value, path)
    const params = error.params as { additionalProperties?: string[]; requiredProperties?: string[] }
    if (error.keyword === 'additionalProperties') {
      const known = Object.keys(here?.properties ?? {}).join(', ')
      const patterns = Object.keys(here?.patternProperties ?? {}).join(' or ')
      const rule = patterns
        ? `has a key that has to fit ${patterns}`
        : `is no known key; there are ${known || 'none'}`
      for (const key of params.additionalProperties ?? []) add(`${path}/${key}`, rule, valueAt(at, `/${key}`))
    } else if (error.keyword === 'required') {
      for (const key of params.requiredProperties ?? []) {
        add(`${path}/${key}`, `has to be there: ${describe(here?.properties?.[key])}`, undefined)
      }
    } else if (here !== undefined) add(path, `has to be ${describe(here)}`, at)
    else unnamed.push({ path, value: shown(at), allowed: error.message })
  }
  if (faults.size === 0) return unnamed.slice(0, 1)
  return [...faults.values()].filter(
    // An object is not wrong by itself where one of its keys is named already.
    ({ path }, _, all) => !all.some((other) => other.path.startsWith(`${path}/`)),
  )
}

/** A schema in words, for error messages. */
export function describe(schema: AnySchema | undefined): string {
  if (schema === undefined) return 'anything'
  if ('const' in schema) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(' or ')
  if (schema.anyOf) return [...new Set(schema.anyOf.map(describe))].join(' or ')
  switch (schema.type) {
    case 'integer':
    case 'number': {
      const noun = schema.type === 'integer' ? 'a whole number' : 'a number'
      if (schema.minimum !== undefined && schema.maximum !== undefined)
        return `${noun} from ${schema.minimum} to ${schema.maximum}`
      if (schema.minimum !== undefined) return `${noun} of at least ${schema.minimum}`
      return schema.maximum === undefined ? noun : `${noun} of at most ${schema.maximum}`
    }
    case 'string': {
      if (schema.pattern !== undefined) return `text that fits ${schema.pattern}`
      return schema.maxLength === undefined
        ? 'text'
        : `text of ${schema.minLength ?? 0} to ${schema.maxLength} characters`
    }
    case 'boolean':
      return 'true or false'
    case 'null':
      return 'null'
    case 'array':
      return `a list of ${describe(schema.items)}`
    case 'object':
      return `an object with ${Object.keys(schema.properties ?? {}).join(', ') || 'keys of its own'}`
    default:
      return 'something else'
  }
}

function schemaAt(schema: AnySchema, path: string): AnySchema | undefined {
  let here: AnySchema | undefined = schema
  for (const key of path.split('/').slice(1)) {
    if (here === undefined) return undefined
    const next: AnySchema | undefined =
      here.properties?.[key] ??
      Object.entries(here.patternProperties ?? {}).find(([pattern]) => new RegExp(pattern).test(key))?.[1] ??
      here.items ??
      (typeof here.additionalProperties === 'object' ? here.additionalProperties : undefined)
    // Inside a union the union itself says what is allowed.
    if (next === undefined) return here.anyOf === undefined ? undefined : here
    here = next
  }
  return here
}

function valueAt(value: unknown, path: string): unknown {
  let here = value
  for (const key of path.split('/').slice(1)) {
    if (typeof here !== 'object' || here === null) return undefined
    here = (here as Record<string, unknown>)[key]
  }
  return here
}

/** A value as error messages show it: JSON, at most 60 characters. */
export function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : (JSON.stringify(value) ?? String(value))
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}
