// `postern host layout`: what each message of a dialect, or of an acquirer's own patched one, carries in which field.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { PosternError } from '../../hal/base/errors.js'
import { openDocuments } from '../../runtime/secure/documents.js'
import {
  AcquirersDocument,
  dialectOf,
  readAcquirersDocument,
} from '../../runtime/secure/payments/acquirer-document.js'
import {
  DIALECT_NAMES,
  type DialectName,
  hostDialect,
} from '../../runtime/secure/payments/iso8583/dialects/host-dialects.js'
import type { HostDialect } from '../../runtime/secure/payments/iso8583/host-message.js'
import {
  familyInMarkdown,
  familyTable,
  messageTable,
} from '../../runtime/secure/payments/iso8583/layout-table.js'

/** A dialect by its name, or that of an acquirer in the documents of `dataDir` by the acquirer's id. */
function dialectNamed(name: string, dataDir: string): HostDialect {
  if ((DIALECT_NAMES as readonly string[]).includes(name)) return hostDialect(name as DialectName)
  const folder = join(dataDir, 'secure')
  const ids: string[] = []
  if (existsSync(join(folder, 'document-root.pem'))) {
    const { acquirers } = readAcquirersDocument(openDocuments(folder).read('acquirers', AcquirersDocument))
    const entry = acquirers.find(({ id }) => id === name)
    if (entry !== undefined) return dialectOf(entry)
    ids.push(...acquirers.map(({ id }) => id))
  }
  const known = [...DIALECT_NAMES, ...ids.map((id) => `${id} (an acquirer)`)].join(', ')
  throw new PosternError('USAGE', `${name} is neither a dialect nor an acquirer here: ${known}`)
}

/** Columns as wide as their widest cell, two spaces between. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, at) => Math.max(...rows.map((row) => row[at]!.length)))
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd(),
  )
}

/** A message's table in words, or every message's with its fields by number. */
export function layoutInWords(dialect: HostDialect, mti?: string): string[] {
  if (mti === undefined) {
    const { columns, rows } = familyTable(dialect)
    return [
      ...columns.flatMap(({ types, names }) => types.map((mti, at) => `${mti}  ${names[at]}`)).sort(),
      '',
      ...aligned([
        ['DE', ...columns.map(({ types }) => types[0]!), 'field'],
        ...rows.map(({ field, name, cells }) => [String(field), ...cells, name]),
      ]),
      '',
      'M must be there, O may. Each ends with its MAC: DE64, or DE128 where a field above 64 is sent.',
    ]
  }
  const table = messageTable(dialect, mti)
  const codes = table.flatMap((row) => {
    const words = Object.entries(row.codes).map(([word, code]) => `${code} ${word}`)
    return words.length === 0 ? [] : [`DE${row.field}: ${words.join(', ')}`]
  })
  return [
    `${mti} ${dialect.wire.layouts?.[mti]?.name ?? ''}`,
    ...aligned([
      ['DE', '', 'format', 'on the wire', 'field', 'carries'],
      ...table.map(({ field, presence, format, wire, name, carries }) => [
        field,
        presence,
        format,
        wire,
        name,
        carries.join(', '),
      ]),
    ]),
    ...(codes.length === 0 ? [] : ['', ...codes]),
  ]
}

export function hostCommand(program: Command): Command {
  const command = new Command('host').description('what is said to acquirers')
  command
    .command('layout')
    .description("each message's layout, as the codec holds messages against it")
    .argument('<dialect>', 'a dialect, or an acquirer of the documents by its id')
    .argument('[message]', 'a message type, as 0200: its fields with format, encoding and meaning')
    .option('--markdown', 'the table of all messages in Markdown')
    .action((name: string, mti: string | undefined, { markdown }: { markdown?: true }) => {
      const { dataDir, json = false } = program.opts() as { dataDir: string; json?: boolean }
      const dialect = dialectNamed(name, dataDir)
      if (json)
        return console.log(
          JSON.stringify(mti === undefined ? familyTable(dialect) : messageTable(dialect, mti)),
        )
      if (markdown === true) return console.log(familyInMarkdown(dialect))
      for (const line of layoutInWords(dialect, mti)) console.log(line)
    })
  return command
}
