// A message for people and logs: one line a field, PAN masked, PIN blocks and card data never shown.
import { toHex } from '../../../../hal/base/bytes.js'
import { maskPan, scrubPans } from '../../../../hal/base/log.js'
import type { Dialect, Message } from './codec.js'
import type { Field, Value } from './field.js'

function show(field: Field | undefined, value: Value): string {
  if (field === undefined || field.shown === 'hidden') return `(${value.length} hidden)`
  const text = typeof value === 'string' ? value : toHex(value)
  if (field.shown === 'masked') return maskPan(text)
  return scrubPans(text)
}

/** The lines of a message, in the order of its fields; safe to log. */
export function describeMessage(dialect: Dialect, message: Message): string[] {
  const lines = [`${message.mti} ${dialect.layouts?.[message.mti]?.name ?? ''}`.trimEnd()]
  for (const number of [...message.fields.keys()].map(Number).sort((a, b) => a - b)) {
    const field = dialect.fields[number]
    lines.push(`DE${number} ${field?.name ?? 'unknown'}: ${show(field, message.fields.get(String(number))!)}`)
  }
  return lines
}
