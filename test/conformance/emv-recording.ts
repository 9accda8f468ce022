// A transcript as a recording: its applications, the card that gives its answers, and what its terminal brought.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fromHex, toHex } from '../../hal/base/bytes.js'
import { TAG } from '../../hal/base/tags.js'
import type { CaKey } from '../../runtime/secure/emv/ca-keys.js'
import { select as selectCommand } from '../../runtime/secure/emv/commands.js'
import { cardChannel } from '../../runtime/secure/emv/transport.js'
import { caKeyOf, dataField, type Exchange, flatten, sessionOf } from './emv-cards.js'
import type { Vector, VectorFile } from './vectors.js'

export const SELECT = '00A40400'
export const PSE = '315041592E5359532E4444463031'
const PPSE = '325041592E5359532E4444463031'
/** From a SELECT of an application to the next; those without their answers are left out. */
export function applicationsOf(exchanges: readonly Exchange[]): Exchange[][] {
  const out: Exchange[][] = []
  for (const exchange of exchanges) {
    const { c } = exchange
    const last = out.at(-1)?.at(-1)
    // 6Cxx: the same SELECT once more with another Le.
    const again =
      last?.c !== null && /^6C..$/.test(last?.r ?? '') && last?.c?.slice(0, -2) === c?.slice(0, -2)
    if (c?.startsWith(SELECT) && !again) out.push([exchange])
    else out.at(-1)?.push(exchange)
  }
  return out.filter(([first]) => ![PSE, PPSE].includes(toHex(dataField(first!.c ?? ''))))
}

/**
 * The recorder selected finally by a part of the name; Book 1, 12.4 has the kernel select by the DF name that the FCI gave.
 * The card gives the same FCI for it.
 */
export function selectedInFull(exchanges: readonly Exchange[]): Exchange[] {
  const name = exchanges
    .flatMap(({ r }) => flatten((r ?? '').slice(0, -4)))
    .find(({ tag }) => tag === TAG.DF_NAME)
  const full = name === undefined ? '' : toHex(name.value)
  return exchanges.map((exchange) => {
    const { c } = exchange
    if (!c?.startsWith(SELECT)) return exchange
    const part = toHex(dataField(c))
    if (full.length <= part.length || !full.startsWith(part)) return exchange
    return { ...exchange, c: `${toHex(selectCommand(fromHex(full))).slice(0, -2)}${c.slice(-2)}` }
  })
}

/** A card that gives each recorded answer once; answers without a command go to the next command that has none. */
export function bagOf(exchanges: readonly Exchange[]) {
  // One upstream writes its GET RESPONSE with INS 0C; Contact Interface, 9.3.1.3 has C0, and that is what its card is given.
  const rest = exchanges.map(({ c, r }) => ({ c: c?.replace(/^000C0000/, '00C00000') ?? null, r }))
  const unrecorded: string[] = []
  const session = sessionOf('T=0', (command) => {
    const hex = toHex(command)
    const fits = ({ c, r }: Exchange) => r !== null && c !== null && (c === hex || c === hex.slice(0, -2))
    const named = rest.findIndex(fits)
    const at = named >= 0 ? named : rest.findIndex(({ c }) => c === null)
    if (named < 0) unrecorded.push(hex)
    return at < 0 ? '6D00' : rest.splice(at, 1)[0]!.r
  })
  return {
    channel: cardChannel(session),
    /** Commands of ours that are not in the recording. */
    unrecorded,
    /** Commands of the recording that we had no use for. */
    left: () => rest.flatMap(({ c }) => (c === null ? [] : [c])),
  }
}

/** CA keys that lie beside the transcripts; none where they don't. */
export function caKeysBeside(file: VectorFile): CaKey[] {
  const path = join(dirname(file.path), '../capk/capks.json')
  if (!existsSync(path)) return []
  const { vectors } = JSON.parse(readFileSync(path, 'utf8')) as Vector
  return vectors.filter(({ checksumOk }: Vector) => checksumOk !== false).map(caKeyOf)
}

/** What the recorded terminal brought, taken out of its commands as far as they tell. */
export function inputsOf(exchanges: readonly Exchange[]) {
  const commands = exchanges.flatMap(({ c, r }) => (c === null || r === null ? [] : [c]))
  const find = (prefix: string) => commands.filter((c) => c.startsWith(prefix))
  const [select, next] = exchanges
  return {
    /** Nothing behind SELECT; an answer without its command is the next command's. */
    endsWithSelect:
      !exchanges.some(({ c }) => c?.startsWith('80A8')) && next?.c !== null && select !== undefined,
    gpo: find('80A8')[0],
    generate: find('80AE'),
    internalAuthenticate: find('0088')[0],
    externalAuthenticate: find('0082')[0],
  }
}
