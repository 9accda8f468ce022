// Handlers of host/tr31.json: headers, unwrapping, and each block made again from what came out of it.
import { ascii, fromHex, toHex } from '../../hal/base/bytes.js'
import { unwrapTr31 } from '../../runtime/secure/keys/tr31.js'
import { parseTr31Header, type Tr31Header } from '../../runtime/secure/keys/tr31-header.js'
import { wrapTr31 } from '../../scripts/key-room/tr31-wrap.js'
import { check, type Handler, type Kind, mustRefuse, type Vector } from './vectors.js'

/** Some rows give the data in hex, some as text, and some leave the padding block out. */
function facts(header: Tr31Header, key: string, expected: Vector): Record<string, unknown> {
  const said: Vector[] = expected.opt_blocks ?? []
  const blocks = header.optional
    .filter(({ id }) => id !== 'PB' || said.some((block) => block.id === 'PB'))
    .map(({ id, data }) => {
      const row = said.find((block) => block.id === id)
      return row?.data === undefined ? { id, data_hex: toHex(ascii.encode(data)) } : { id, data }
    })
  return {
    version: header.version,
    usage: header.usage,
    algorithm: header.algorithm,
    mode: header.mode,
    exportability: header.exportability,
    key_hex: key,
    ...(expected.opt_blocks === undefined ? {} : { opt_blocks: blocks }),
  }
}

const unwrap: Handler = ({ inputs, expected }) => {
  const kbpk = fromHex(inputs.kbpk)
  if (expected.error !== undefined)
    return mustRefuse(() => unwrapTr31(kbpk, inputs.key_block), expected.error)
  const { header, key, padding } = unwrapTr31(kbpk, inputs.key_block)
  const first = check(expected, facts(header, toHex(key), expected))
  if (first.kind !== 'passed') return first
  return check(inputs.key_block, wrapTr31(kbpk, header, key, padding))
}

export const TR31_KINDS: readonly Kind[] = [
  {
    kind: 'tr31.parse_header',
    handler: ({ inputs, expected }) =>
      check(expected, facts(parseTr31Header(inputs.key_block), '', expected)),
  },
  { kind: 'tr31.unwrap', handler: unwrap },
]
