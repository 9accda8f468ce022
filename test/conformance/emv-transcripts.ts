// Handlers of transcripts/: whole conversations with real cards, replayed against the kernel as far as each carries.
import { fromHex, toHex } from '../../hal/base/bytes.js'
import { encodeTlvList, parseTlv, type Tlv } from '../../hal/base/tlv.js'
import { type Exchange, flatten, tagHex } from './emv-cards.js'
import { upstreamAsserts } from './emv-real-card.js'
import { applicationsOf, caKeysBeside } from './emv-recording.js'
import { directoryFaults, type Replay, replay } from './emv-replay.js'
import { check, type Handler, type Kind, type Vector, type VectorFile, type Verdict } from './vectors.js'

/** Why the kernel ends where the recorded program went on: what it saw, and the clause that has it end there. */
interface Explanation {
  readonly seen: (replayed: Replay, exchanges: readonly Exchange[]) => boolean
  readonly clause: string
}

const ruleOf = ({ end }: Replay): string => (typeof end === 'object' ? end.rule : (end ?? ''))
const answered = (exchanges: readonly Exchange[], command: string, status: RegExp) =>
  exchanges.some(({ c, r }, i) => {
    const previous = exchanges.slice(0, i).some((earlier) => earlier.c?.startsWith(command))
    return status.test(r ?? '') && (c?.startsWith(command) || (c === null && !previous))
  })

const EXPLANATIONS: readonly Explanation[] = [
  {
    seen: (replayed, exchanges) =>
      replayed.reached === 'initiation' && exchanges.some(({ c, r }) => c?.startsWith('80A8') && r === null),
    clause: 'the recording has no answer to GET PROCESSING OPTIONS',
  },
  {
    seen: (replayed, exchanges) =>
      ruleOf(replayed) === 'no status word' &&
      exchanges.some(({ r }) => r !== null && !/(9|6[1-9A-F]).{1,3}$/.test(r.slice(-4))),
    clause: 'Contact Interface, 9.2.2.3: an answer ends with status bytes 6X or 9X',
  },
  {
    seen: (replayed) => replayed.end === 'conditionsNotSatisfied',
    clause: 'Book 3, 10.1: after 6985 the application is out',
  },
  {
    seen: (replayed) => replayed.end === 'the recording ends with SELECT',
    clause: 'nothing is recorded behind SELECT',
  },
  {
    seen: (replayed, exchanges) =>
      ruleOf(replayed) === 'GET PROCESSING OPTIONS was not answered with 9000' &&
      exchanges.some(({ r }) => /^6[7-9A-F]..$/.test(r ?? '')),
    clause:
      'Book 3, 10.1 and 8.1: another status than 9000 and 6985 ends the transaction; a PDOL is never answered with 8300',
  },
  {
    seen: (replayed) =>
      /^GET PROCESSING OPTIONS(, format 2: no A(IP|FL)| answered neither format)/.test(ruleOf(replayed)),
    clause:
      'Book 3, 6.5.8.4: AIP and AFL in template 80 or 77; a contactless card or an anonymised answer has less',
  },
  {
    seen: (replayed) => ruleOf(replayed).startsWith('a mandatory data object is missing'),
    clause:
      'Book 3, 7.2, table 28: PAN, expiry, CDOL1 and CDOL2; a contactless magstripe card and a reader of data need none',
  },
  {
    seen: (replayed) =>
      ruleOf(replayed) === 'READ RECORD was not answered with 9000' &&
      replayed.unrecorded.some((command) => command.startsWith('00B2')),
    clause: 'Book 3, 10.2: every record that the AFL names is read; the recorder left some out',
  },
  {
    seen: (replayed, exchanges) =>
      ruleOf(replayed) === 'READ RECORD was not answered with 9000' &&
      exchanges.some(({ c, r }) => (c === null || c.startsWith('00B2')) && !/9000$/.test(r ?? '')),
    clause: 'Book 3, 10.2: any other status than 9000 ends the transaction; a reader of data goes on',
  },
  {
    seen: (replayed) => ruleOf(replayed) === 'a record is not one template 70',
    clause: 'Book 3, 7.1: records of SFI 1 to 10 are coded with tag 70',
  },
  {
    seen: (replayed, exchanges) =>
      replayed.end === 'FCI names another application' ||
      (replayed.end === 'FCI is malformed' && answered(exchanges, '00A4', /9000$/)),
    clause: 'Book 1, 12.4: the final SELECT names the ADF in full, and the FCI says the same',
  },
  {
    seen: (replayed, exchanges) =>
      replayed.end === 'final SELECT was not answered with 9000' &&
      !answered(exchanges.slice(0, 1), '00A4', /9000$/),
    clause: 'Book 1, 12.4: an application that SELECT does not give is taken off the list',
  },
]

/** Commands of the recording that a payment does not send: logs, life cycle data, PIN tries without a PIN. */
const NOT_A_PAYMENT = [
  /^80CA9F(4F|7F|17|36|13|50|51|52)/, // GET DATA for its own sake
  /^00B2/, // records that no AFL names: the transaction log, and those behind an end
  /^80A8/, // a second GET PROCESSING OPTIONS after a refused one
  /^802A/, // COMPUTE CRYPTOGRAPHIC CHECKSUM of contactless magstripe mode
  /^00C0/, // GET RESPONSE of an answer that was complete
]

/** Every data object writes again to the bytes it was read from. */
function roundTrips(exchanges: readonly Exchange[]): string[] {
  return exchanges.flatMap(({ r }) => {
    const data = (r ?? '').slice(0, -4)
    if (data === '' || data.startsWith('00')) return []
    let list: Tlv[]
    try {
      list = parseTlv(fromHex(data))
    } catch {
      return []
    }
    return toHex(encodeTlvList(list)) === data ? [] : [data]
  })
}

/** What is wrong with one application's replay; empty where the kernel did as recorded or the book says why not. */
function faults(replayed: Replay, exchanges: readonly Exchange[]): unknown[] {
  const { end } = replayed
  const explained = end === undefined || EXPLANATIONS.some(({ seen }) => seen(replayed, exchanges))
  // An end cuts the recording short: what it has behind that is nobody's fault.
  const cut = end !== undefined
  const extra = replayed.left.filter((command) => !NOT_A_PAYMENT.some((pattern) => pattern.test(command)))
  return [
    ...(explained ? [] : [{ reached: replayed.reached, end }]),
    ...replayed.differences,
    ...replayed.unrecorded.filter(() => !cut).map((command) => `we sent ${command}`),
    ...(cut ? [] : extra.map((command) => `we had no use for ${command}`)),
  ]
}

async function replayAll(vector: Vector, file: VectorFile) {
  const caKeys = caKeysBeside(file)
  const out: { replayed: Replay; exchanges: Exchange[] }[] = []
  for (const exchanges of applicationsOf(vector.exchanges))
    out.push({ replayed: await replay(exchanges, caKeys), exchanges })
  return out
}

/** What the upstream decoder printed for a data object: `  5A (PAN): 374245001741007F`, long values shortened in the middle. */
const DECODED = /^\s+([0-9A-F]{2,8}) \((?!Byte|Bits?\b)[^:]*\)(?::\s*(.*))?$/
const ISSUER_SCRIPT_TAGS = new Set(['71', '72', '86'])

/** True where the printed value is another than ours; text, dates and numbers are printed as upstream likes. */
function printedOtherwise(printed: string, value: string): boolean {
  const [, head, tail] = /^([0-9A-F]+)\.\.\.([0-9A-F]+)$/.exec(printed) ?? []
  if (head !== undefined && tail !== undefined) return !value.startsWith(head) || !value.endsWith(tail)
  return /^[0-9A-F]+$/.test(printed) && printed.length === value.length && printed !== value
}

/** Data objects that we find in the answers and the upstream tree has not, or has with another value, in its order. */
function missingFromTree(vector: Vector): string[] {
  const theirs: { tag: string; printed: string }[] = vector.expectedDecode.flatMap((line: string) => {
    const [, tag, printed = ''] = DECODED.exec(line) ?? []
    return tag === undefined ? [] : [{ tag, printed }]
  })
  let at = 0
  return vector.exchanges
    .flatMap(({ r }: Vector) => flatten((r ?? '').slice(0, -4)))
    .flatMap(({ tag, value }: Tlv) => {
      const name = tagHex(tag).padStart(2, '0')
      if (ISSUER_SCRIPT_TAGS.has(name)) return []
      const found = theirs.findIndex((line, i) => i >= at && line.tag === name)
      if (found < 0) return [`no ${name} in the upstream tree`]
      at = found + 1
      const { printed } = theirs[found]!
      return printedOtherwise(printed, toHex(value)) ? [`${name} is ${toHex(value)}, not ${printed}`] : []
    })
}

/** ICC keys and dynamic numbers that upstream recovered from certificates and signatures, against ours. */
function recoveredOtherwise(vector: Vector, replays: readonly Replay[]): string[] {
  const lines: string[] = vector.expectedDecode ?? []
  return replays.flatMap(({ oda, data }) => {
    if (!oda || oda.method === 'none' || oda.failure === 'no CA key') return []
    const faults = oda.failure === undefined ? [] : [`${oda.method}: ${oda.failure}`]
    const modulus = oda.iccKey ? toHex(oda.iccKey.modulus) : ''
    const keys = lines.flatMap((line) => /^\s+Public key: ([0-9A-F]+)$/.exec(line)?.[1] ?? [])
    if (oda.iccKey && keys.length > 0 && !keys.some((key) => modulus.startsWith(key))) faults.push('ICC key')
    const numbers = lines.flatMap((line) => /^\s+ICC dynamic number: ([0-9A-F]+)$/.exec(line)?.[1] ?? [])
    const ours = data.card(0x9f4c)
    if (ours && numbers.length > 0 && !numbers.includes(toHex(ours))) faults.push('ICC dynamic number')
    return faults
  })
}

async function transcript(vector: Vector, file: VectorFile, asserted: unknown[]): Promise<Verdict> {
  const replays = await replayAll(vector, file)
  return check(
    { asserted: [], bytes: [], replays: [] },
    {
      asserted: [...asserted, ...(await directoryFaults(vector.exchanges))],
      bytes: roundTrips(vector.exchanges),
      replays: replays.flatMap(({ replayed, exchanges }) => faults(replayed, exchanges)),
    },
  )
}

const decodedTranscript: Handler = async (vector, file) => {
  const replays = (await replayAll(vector, file)).map(({ replayed }) => replayed)
  const missing = vector.expectedDecode ? missingFromTree(vector) : []
  return transcript(vector, file, [...missing, ...recoveredOtherwise(vector, replays)])
}

const realCard: Handler = async (vector, file) => {
  const replays = (await replayAll(vector, file)).map(({ replayed }) => replayed)
  return transcript(vector, file, upstreamAsserts(vector, replays))
}

export const TRANSCRIPTS: readonly Kind[] = [
  { kind: 'transcripts/binaryfoo-decoded', handler: decodedTranscript },
  { kind: 'transcripts/devnied-real-cards', handler: realCard },
]
