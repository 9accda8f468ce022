// What the upstream tests of recorded cards assert, read off the kernel's replay and off the data objects.
import { ascii, toHex } from '../../hal/base/bytes.js'
import { TAG } from '../../hal/base/tags.js'
import type { Tlv } from '../../hal/base/tlv.js'
import { displayName } from '../../runtime/secure/emv/application-name.js'
import { parseAfl } from '../../runtime/secure/emv/read-application-data.js'
import { panDigits } from '../../runtime/secure/emv/transaction-data.js'
import { dolFields, flatten } from './emv-cards.js'
import { applicationsOf } from './emv-recording.js'
import type { Replay } from './emv-replay.js'
import type { Vector } from './vectors.js'

const TRACK1 = 0x56
const TRACK2_CONTACTLESS = 0x9f6b
const CARRIERS = [TAG.PAN, TAG.TRACK2, TRACK2_CONTACTLESS, TRACK1]
const LOG_FORMAT = 0x9f4f
const ALL_CODE_TABLES = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff)

/** The card as its answers have it. */
interface Seen {
  readonly objects: readonly Tlv[]
  /** By application: its own objects, and what the directory says of it. */
  readonly applications: readonly { objects: readonly Tlv[]; entry: readonly Tlv[]; replay: Replay }[]
  /** Records of the transaction log, by tag. */
  readonly log: readonly ReadonlyMap<number, string>[]
}

const values = (objects: readonly Tlv[], ...tags: number[]) =>
  objects.filter(({ tag }) => tags.includes(tag)).map(({ value }) => value)
const objectsOf = (exchanges: readonly Vector[]): Tlv[] =>
  exchanges.flatMap(({ r }) => flatten((r ?? '').slice(0, -4)))

function seen(vector: Vector, replays: readonly Replay[]): Seen {
  const objects = objectsOf(vector.exchanges)
  const entries = objects
    .filter(({ tag }) => tag === TAG.APPLICATION_TEMPLATE)
    .map(({ children }) => children ?? [])
  const format = values(objects, LOG_FORMAT)[0]
  const answers: string[] = vector.exchanges
    .filter(({ c, r }: Vector) => c?.startsWith('00B2') && r?.endsWith('9000'))
    .map(({ r }: Vector) => r.slice(0, -4))
  const length = format ? dolFields(format, new Uint8Array()).length : 0
  return {
    objects,
    applications: applicationsOf(vector.exchanges).map((exchanges, i) => ({
      objects: objectsOf(exchanges),
      entry: entries[i] ?? [],
      replay: replays[i]!,
    })),
    log:
      length === 0
        ? []
        : answers
            .filter((hex) => !hex.startsWith('70') && !hex.startsWith('77'))
            .map((hex) => {
              const fields = dolFields(format!, Uint8Array.from(Buffer.from(hex, 'hex')))
              return new Map(fields.map(([tag, value]) => [tag, toHex(value)]))
            }),
  }
}

/** The PAN by each data object that holds it; a purse keeps its number in files of its own. */
function pans({ objects }: Seen): string[] | undefined {
  if (values(objects, ...CARRIERS).length === 0) return undefined
  return [
    ...values(objects, TAG.PAN).map((pan) => ascii.decode(panDigits(pan) ?? new Uint8Array())),
    ...values(objects, TAG.TRACK2, TRACK2_CONTACTLESS).map((track) => toHex(track).split('D')[0]!),
    ...values(objects, TRACK1).map((track) => /^B([0-9]+)\^/.exec(ascii.decode(track))?.[1] ?? ''),
  ]
}

/** `MM/yyyy`. */
function expiries({ objects }: Seen): string[] | undefined {
  if (values(objects, TAG.EXPIRATION_DATE, ...CARRIERS).length === 0) return undefined
  return [
    ...values(objects, TAG.EXPIRATION_DATE).map(toHex),
    ...values(objects, TAG.TRACK2, TRACK2_CONTACTLESS).map((track) => toHex(track).split('D')[1] ?? ''),
    ...values(objects, TRACK1).map((track) => ascii.decode(track).split('^')[2] ?? ''),
  ].map((date) => `${date.slice(2, 4)}/20${date.slice(0, 2)}`)
}

/** Names that the kernel shows for an application, out of the directory and out of its FCI. */
function names(app: Seen['applications'][number], seen: Seen): string[] {
  const table = values(seen.objects, TAG.CODE_TABLE)[0]?.[0]
  return [app.entry, app.objects].flatMap((objects) => {
    const [label] = values(objects, TAG.APPLICATION_LABEL)
    const [preferredName] = values(objects, TAG.PREFERRED_NAME)
    return label || preferredName
      ? [displayName({ preferredName, codeTable: table, label, aid: new Uint8Array() }, ALL_CODE_TABLES)]
      : []
  })
}

const number = (value: Uint8Array) => String(value.reduce((sum, byte) => sum * 256 + byte, 0))
const digits = (hex: string) => hex.replace(/^0+(?=.)/, '')

const OPERATORS = new Set(['isEqualTo', 'isNull', 'isNotNull', 'isZero'])

/** One reader a subject: every value that the card gives for it. */
const APPLICATION: Readonly<Record<string, (app: Seen['applications'][number], seen: Seen) => string[]>> = {
  getAid: ({ objects, entry }) =>
    [...values(objects, TAG.DF_NAME), ...values(entry, TAG.ADF_NAME)].map(toHex),
  getApplicationLabel: names,
  getLeftPinTry: ({ objects }) => values(objects, TAG.PIN_TRY_COUNTER).map(number),
  getTransactionCounter: ({ objects }) => values(objects, TAG.ATC).map(number),
  getPriority: ({ objects, entry }) =>
    [...values(entry, TAG.PRIORITY), ...values(objects, TAG.PRIORITY)].map((value) =>
      String(value[0]! & 0x0f),
    ),
}

const CARD: Readonly<Record<string, (seen: Seen) => string[] | undefined>> = {
  'card.getCardNumber()': pans,
  'card.getTrack1().getCardNumber()': pans,
  'sdf.format(card.getExpireDate())': expiries,
  'sdf.format(card.getTrack1().getExpireDate())': expiries,
  'record.getAmount()': ({ log }) => log.map((record) => digits(record.get(TAG.AMOUNT) ?? '')),
  'record.getCyptogramData()': ({ log }) => log.map((record) => record.get(TAG.CID) ?? ''),
  'sdf2.format(record.getDate())': ({ log }) =>
    log.map((record) => {
      const [yy, mm, dd] = (record.get(TAG.TRANSACTION_DATE) ?? '').match(/../g) ?? []
      return `${dd}/${mm}/20${yy}`
    }),
}

/** Where the kernel's own run has something to say: a card that upstream calls locked gets no further than the book lets it. */
function stateFault(value: string, { applications }: Seen): string | undefined {
  const furthest = applications.map(({ replay }) => replay.reached)
  if (
    value === 'CardStateEnum.LOCKED' &&
    furthest.some((step) => step !== 'selection' && step !== 'initiation')
  )
    return `locked, and the kernel reached ${furthest.join(', ')}`
  if (value === 'CardStateEnum.UNKNOWN' && furthest.some((step) => step !== 'selection'))
    return `unknown, and the kernel reached ${furthest.join(', ')}`
  return undefined
}

/** Upstream asserts that don't hold for the replay; subjects that no payment knows (life cycle, IBAN, services) are left out. */
export function upstreamAsserts(vector: Vector, replays: readonly Replay[]): string[] {
  const card = seen(vector, replays)
  const asserts: { subject: string; op: string; value: string | null }[] = vector.upstreamAsserts ?? []
  const faults: string[] = []
  for (const { value } of card.objects.filter(({ tag }) => tag === TAG.AFL))
    if (!parseAfl(value)) faults.push(`AFL ${toHex(value)}`)
  for (const { subject, op, value } of asserts) {
    if (!OPERATORS.has(op)) faults.push(`${subject} ${op}: an operator that nobody knows`)
    // Several upstream tests in one vector, each with another card: what they contradict each other in tells nothing.
    if (asserts.some((other) => other.subject === subject && (other.op !== op || other.value !== value)))
      continue
    if (subject === 'card.getState()' && value !== null) {
      const fault = stateFault(value, card)
      if (fault) faults.push(fault)
      continue
    }
    const [, index, method] = /getApplications\(\)\.get\((\d+)\)\.(\w+)\(\)/.exec(subject) ?? []
    const app = index === undefined ? undefined : card.applications[Number(index)]
    const read = method === undefined ? undefined : APPLICATION[method]
    const got =
      read && index !== undefined
        ? app
          ? read(app, card)
          : []
        : subject.includes('.get(') && index === undefined
          ? undefined
          : CARD[subject]?.(card)
    if (got === undefined) continue
    const holds =
      op === 'isNull' || value === 'AbstractData.UNKNOWN'
        ? got.length === 0
        : op === 'isEqualTo'
          ? got.includes(String(value))
          : true
    if (!holds) faults.push(`${subject} ${op} ${value}: ${got.join(', ')}`)
  }
  return faults
}
