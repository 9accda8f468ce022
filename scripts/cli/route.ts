// `postern route explain`: whom a payment would go to, rule by rule, by the documents that the secure world verified.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { isPosternError, PosternError } from '../../hal/base/errors.js'
import { CURRENCIES, formatMoney, money } from '../../hal/base/money.js'
import { openDocuments } from '../../runtime/secure/documents.js'
import { AcquirersDocument, readAcquirersDocument } from '../../runtime/secure/payments/acquirer-document.js'
import {
  ADVISED_KINDS,
  AUTHORISED_KINDS,
  type MoneyKind,
} from '../../runtime/secure/payments/acquirer-port.js'
import { routedAcquirer } from '../../runtime/secure/payments/acquirers.js'
import { defaultRouting, explainRoute, type RouteExplained } from '../../runtime/secure/payments/routing.js'
import { RoutingDocument, readRoutingDocument } from '../../runtime/secure/payments/routing-document.js'

function matching(pattern: RegExp, what: string) {
  return (text: string): string => {
    if (!pattern.test(text)) throw new InvalidArgumentError(what)
    return text.toUpperCase()
  }
}

const MARKS = { yes: '✓', no: '✗', maybe: '?' } as const

/** The explanation, a line each rule, condition and acquirer. */
export function routeInWords({ rules, decided, candidates, order }: RouteExplained): string[] {
  const lines = rules.flatMap(({ name, holds, reasons }) => [
    `${MARKS[holds]} ${name}${name === decided ? '  ← decides' : ''}`,
    ...reasons.map((reason) => `    ${reason}`),
  ])
  if (decided === undefined) lines.push('No rule matches: the rest of the acquirers (otherwise)')
  for (const { id, taken, reasons } of candidates)
    lines.push(`${taken ? '✓' : '✗'} ${id}${reasons.length === 0 ? '' : `: ${reasons.join('; ')}`}`)
  lines.push(order.length === 0 ? 'Nobody takes it.' : `Goes to ${order.join(', else ')}.`)
  return lines
}

interface Asked {
  readonly bin?: string
  readonly aid?: string
  readonly amount: string
  readonly currency: string
  readonly kind: MoneyKind
}

function explain(dataDir: string, { bin, aid, amount, currency, kind }: Asked): RouteExplained {
  const folder = join(dataDir, 'secure')
  if (!existsSync(join(folder, 'document-root.pem')))
    throw new PosternError(
      'DOCUMENT_MISSING',
      `no documents under ${dataDir}: start a terminal there first, or name its folder with --data-dir`,
    )
  if (!Object.hasOwn(CURRENCIES, currency))
    throw new PosternError('USAGE', `${currency} is none of ${Object.keys(CURRENCIES).join(', ')}`)
  const documents = openDocuments(folder)
  const { acquirers } = readAcquirersDocument(documents.read('acquirers', AcquirersDocument))
  const ids = acquirers.map(({ id }) => id)
  let routing = defaultRouting(ids)
  try {
    routing = readRoutingDocument(documents.read('routing', RoutingDocument), ids)
  } catch (error) {
    if (!isPosternError(error, 'DOCUMENT_MISSING')) throw error
  }
  return explainRoute(routing, acquirers.map(routedAcquirer), {
    kind,
    amount: money(BigInt(amount), currency),
    ...(bin === undefined ? {} : { bin }),
    ...(aid === undefined ? {} : { aid }),
  })
}

export function routeCommand(program: Command): Command {
  const command = new Command('route').description('which acquirer takes a payment')
  command
    .command('explain')
    .description('every rule, and why it matches or not')
    .option(
      '--bin <digits>',
      'first digits of the card number',
      matching(/^[0-9]{4,8}$/, 'four to eight digits'),
    )
    .option(
      '--aid <hex>',
      'application id',
      matching(/^([0-9A-Fa-f]{2}){5,16}$/, 'five to sixteen bytes in hex'),
    )
    .requiredOption(
      '--amount <minor>',
      'minor units',
      matching(/^(0|[1-9][0-9]{0,11})$/, 'minor units, as 1250'),
    )
    .requiredOption('--currency <code>', 'three letters', matching(/^[A-Za-z]{3}$/, 'three letters, as EUR'))
    .addOption(
      new Option('--kind <kind>', 'what is asked for')
        .choices([...AUTHORISED_KINDS, ...ADVISED_KINDS])
        .default('sale'),
    )
    .action((asked: Asked) => {
      const { dataDir, json = false } = program.opts() as { dataDir: string; json?: boolean }
      const explained = explain(dataDir, asked)
      if (json) return console.log(JSON.stringify(explained))
      const { kind, amount, currency, bin = 'not read yet' } = asked
      console.log(`A ${kind} of ${formatMoney(money(BigInt(amount), currency), true)}, BIN ${bin}:`)
      for (const line of routeInWords(explained)) console.log(line)
    })
  return command
}
