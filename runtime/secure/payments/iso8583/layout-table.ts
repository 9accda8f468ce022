// Layouts as tables for a reader with the acquirer's specification in hand: what each message carries, made from the data.
import { PosternError } from '../../../../hal/base/errors.js'
import type { Layout } from './codec.js'
import type { Encoding, Field } from './field.js'
import { fieldBytes } from './field.js'
import { type HostDialect, kindOf } from './host-message.js'
import type { Prefix } from './wire.js'

/** One field of one message. */
export interface LayoutRow {
  readonly field: string
  readonly name: string
  /** In the standard's notation: `n6`, `b...255`. */
  readonly format: string
  /** Encodings of length and content, and how many bytes where that is fixed. */
  readonly wire: string
  readonly presence: 'must' | 'may'
  /** The elements of the host message that lie there. */
  readonly carries: readonly string[]
  /** The codes that stand for words there. */
  readonly codes: Readonly<Record<string, string>>
}

const ENCODINGS: Readonly<Record<Encoding, string>> = {
  ascii: 'ASCII',
  ebcdic: 'EBCDIC',
  bcd: 'BCD',
  binary: 'binary',
  hex: 'hex digits in ASCII',
  'hex-ebcdic': 'hex digits in EBCDIC',
}
const PREFIXES: Readonly<Record<Prefix['encoding'], string>> = {
  ascii: 'ASCII',
  ebcdic: 'EBCDIC',
  bcd: 'BCD',
  binary: 'binary',
}

const formatOf = ({ type, prefix, length }: Field): string =>
  `${type}${prefix === 'fixed' ? '' : '.'.repeat(prefix.digits)}${length}`

const inBytes = (encoding: string, bytes: number) => `${encoding}, ${bytes} ${bytes === 1 ? 'byte' : 'bytes'}`

function wireOf(field: Field): string {
  const { prefix, encoding } = field
  if (prefix === 'fixed') return inBytes(ENCODINGS[encoding], fieldBytes(field, ''))
  return `length of ${prefix.digits} in ${PREFIXES[prefix.encoding]}, ${ENCODINGS[encoding]}`
}

const layoutOf = ({ name, wire }: HostDialect, mti: string): Layout => {
  const layouts = wire.layouts ?? {}
  if (!Object.hasOwn(layouts, mti))
    throw new PosternError(
      'USAGE',
      `${name} has no message ${mti}; it has ${Object.keys(layouts).join(', ')}`,
    )
  return layouts[mti]!
}

/** Every field of a message in the order of the wire, bitmaps left out. @throws PosternError `USAGE` */
export function messageTable(dialect: HostDialect, mti: string): LayoutRow[] {
  const { must, may, mac } = layoutOf(dialect, mti)
  const kind = kindOf(dialect, mti)
  const row = (number: number, presence: LayoutRow['presence'], field: string): LayoutRow => {
    const found = dialect.wire.fields[number]!
    const rows = dialect.rows.filter(
      ({ fields, on }) =>
        fields.includes(number) && (kind === undefined || on?.(kind.type, kind.role) !== false),
    )
    return {
      field,
      name: found.name,
      format: formatOf(found),
      wire: wireOf(found),
      presence,
      carries: [...new Set(rows.flatMap(({ elements }) => elements))],
      codes: Object.assign({}, ...rows.map(({ codes }) => codes ?? {})) as Record<string, string>,
    }
  }
  const carried = new Map<number, LayoutRow['presence']>([
    ...may.map((number) => [number, 'may'] as const),
    ...must.map((number) => [number, 'must'] as const),
  ])
  const rows = [...carried]
    .sort(([a], [b]) => a - b)
    .map(([number, presence]) => row(number, presence, String(number)))
  return mac === true ? [...rows, { ...row(64, 'must', '64 or 128'), carries: ['mac'] }] : rows
}

/** Messages by field: `M` must, `O` may be there. Types whose layouts are the same share a column. */
export function familyTable(dialect: HostDialect): {
  readonly columns: readonly { readonly types: readonly string[]; readonly names: readonly string[] }[]
  readonly rows: readonly {
    readonly field: number
    readonly name: string
    readonly cells: readonly string[]
  }[]
} {
  const { layouts = {}, fields } = dialect.wire
  const columns: { types: string[]; layout: Layout }[] = []
  for (const [mti, layout] of Object.entries(layouts)) {
    const same = columns.find(
      ({ layout: other }) =>
        String(other.must) === String(layout.must) && String(other.may) === String(layout.may),
    )
    if (same === undefined) columns.push({ types: [mti], layout })
    else same.types.push(mti)
  }
  const numbers = [...new Set(columns.flatMap(({ layout }) => [...layout.must, ...layout.may]))]
  return {
    columns: columns.map(({ types }) => ({ types, names: types.map((mti) => layouts[mti]!.name) })),
    rows: numbers
      .sort((a, b) => a - b)
      .map((field) => ({
        field,
        name: fields[field]?.name ?? '',
        cells: columns.map(({ layout: { must, may } }) =>
          must.includes(field) ? 'M' : may.includes(field) ? 'O' : '',
        ),
      })),
  }
}

/** The family's table in Markdown. */
export function familyInMarkdown(dialect: HostDialect): string {
  const { columns, rows } = familyTable(dialect)
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [
    line(['DE', 'field', ...columns.map(({ types }) => types.join('<br>'))]),
    line(['--:', '---', ...columns.map(() => ':-:')]),
    ...rows.map(({ field, name, cells }) => line([String(field), name, ...cells])),
  ].join('\n')
}
