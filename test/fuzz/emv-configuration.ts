// Fuzz target: the EMV configuration document, changed key by key: taken whole, or refused with AID, key and rule.
import { PosternError } from '../../hal/base/errors.js'
import { emvConfiguration } from '../../runtime/secure/emv/configuration.js'
import { emvTables } from '../../scripts/dev/factory/documents.js'
import { type Choices, choicesOf } from './support/choices.js'

const good = JSON.stringify(emvTables({ caPublicKeys: [], eccCaPublicKeys: [] }))

const VALUES: readonly unknown[] = [
  null,
  true,
  -1,
  1e300,
  '',
  '0',
  'A000000003',
  'a000000003',
  '9F3704',
  '9F',
  'FFFFFFFFFF',
  '999999999',
  '1'.repeat(300),
  [],
  {},
  [null],
  { aid: 7 },
  ['__proto__'],
]

/** Changes the value at a place that the choices walk to. */
function change(node: unknown, choices: Choices, depth = 0): void {
  if (typeof node !== 'object' || node === null || depth > 6) return
  const into = node as Record<string, unknown>
  const keys = Object.keys(into)
  const key = keys[choices.below(Math.max(1, keys.length))]
  if (key === undefined) return
  switch (choices.below(8)) {
    case 0:
      into[key] = choices.pick(VALUES)
      return
    case 1:
      if (Array.isArray(node)) node.splice(Number(key), 1)
      else delete into[key]
      return
    case 2:
      into[`${key}x`] = into[key]
      return
    case 3:
      if (Array.isArray(node)) node.push(structuredClone(node[0]))
      return
    case 4: {
      const text = into[key]
      if (typeof text !== 'string' || text === '') return change(text, choices, depth + 1)
      const at = choices.below(text.length)
      into[key] = text.slice(0, at) + String.fromCharCode(0x20 + choices.below(95)) + text.slice(at + 1)
      return
    }
    default:
      change(into[key], choices, depth + 1)
  }
}

export const target = {
  name: 'EMV configuration',
  run(bytes: Uint8Array): string {
    const choices = choicesOf(bytes)
    const document: unknown = JSON.parse(good)
    const changes = choices.below(6)
    for (let i = 0; i < changes; i++) change(document, choices)
    try {
      const configuration = emvConfiguration(document)
      for (const { aid, tac, version } of configuration.applications)
        if (aid.length < 5 || aid.length > 16 || version.length !== 2 || tac.denial.length !== 5)
          throw new Error('a row that no kernel can use')
      return 'taken'
    } catch (error) {
      if (!(error instanceof PosternError) || error.code !== 'EMV_CONFIGURATION_INVALID') throw error
      const { where, key, rule } = error.details
      if (typeof where !== 'string' || where === '' || typeof key !== 'string' || typeof rule !== 'string')
        throw new Error('a refusal without a place', { cause: error })
      // The rule alone: keys and places are the fuzzer's own inventions, without end.
      return rule.replaceAll(/[^a-z ]/g, '').slice(0, 24)
    }
  },
}
