// Handlers of whole cards: a recorded contact flow, and a card image. Both run the kernel from selection to its last cryptogram.
import { constants, createPrivateKey, privateDecrypt } from 'node:crypto'
import { ascii, fromHex, toHex } from '../../hal/base/bytes.js'
import { TAG } from '../../hal/base/tags.js'
import { isEnd } from '../../runtime/secure/emv/card-end.js'
import { completeTransaction, transactToFirstCryptogram } from '../../runtime/secure/emv/transaction.js'
import { TransactionData } from '../../runtime/secure/emv/transaction-data.js'
import { cardChannel } from '../../runtime/secure/emv/transport.js'
import { TVR } from '../../runtime/secure/emv/verification-results.js'
import { CARD_IMAGES } from './emv-card-image.js'
import {
  applicationRow,
  caKeyOf,
  dataField,
  dolFields,
  flatten,
  plainServices,
  plainTerminal,
  sessionOf,
} from './emv-cards.js'
import { TRANSCRIPTS } from './emv-transcripts.js'
import { check, type Handler, type Kind, passed, type Vector } from './vectors.js'

const GENERATE_AC = '80AE'
const ENCIPHERED_PIN = '00200088'

/** What the recorded terminal put into the two GENERATE AC commands: the run's inputs, and what its commands are held against. */
function recordedInputs(vector: Vector) {
  const objects = vector.exchanges.flatMap(({ r }: Vector) => flatten(r.slice(0, -4)))
  const value = (tag: number): Uint8Array => objects.find((item: Vector) => item.tag === tag)?.value
  const commands: string[] = vector.exchanges
    .map(({ c }: Vector) => c)
    .filter((c: string) => c.startsWith(GENERATE_AC))
  const first = new Map(dolFields(value(TAG.CDOL1), dataField(commands[0]!)))
  const second = new Map(dolFields(value(TAG.CDOL2), dataField(commands[1]!)))
  return {
    commands,
    cdols: [value(TAG.CDOL1), value(TAG.CDOL2)],
    first,
    second,
    expires: value(TAG.EXPIRATION_DATE),
    version: value(TAG.ICC_VERSION),
  }
}

/**
 * The recorded card: an answer for each command byte for byte. It looks into two kinds of command as a card does: an
 * enciphered PIN is opened with its private key, and GENERATE AC is answered by what is asked for, whatever the data.
 */
function recordedCardWithKey(vector: Vector, pem: string | undefined) {
  // The same command in another place has another answer: they come in turn, the last one for good.
  const answers = new Map<string, string[]>()
  for (const { c, r } of vector.exchanges) answers.set(c, [...(answers.get(c) ?? []), r])
  const next = (c: string): string | undefined => {
    const list = answers.get(c)
    return list && list.length > 1 ? list.shift() : list?.[0]
  }
  const sent: string[] = []
  const pins: { plaintext?: string; enciphered?: string; block?: string } = {}
  const challenge: string =
    vector.exchanges.find(({ c, r }: Vector) => c.startsWith('0084') && r.endsWith('9000'))?.r.slice(0, -4) ??
    ''
  const pinBlock = `2${vector.pin.length.toString(16).toUpperCase()}${vector.pin}`.padEnd(16, 'F')
  const session = sessionOf('T=0', (command) => {
    const hex = toHex(command)
    sent.push(hex)
    if (hex.startsWith(ENCIPHERED_PIN) && pem !== undefined) {
      const key = { key: createPrivateKey(pem), padding: constants.RSA_NO_PADDING }
      const clear = toHex(privateDecrypt(key, command.subarray(5)))
      const right = clear.startsWith(`7F${pinBlock}${challenge}`)
      pins.block = right ? '7F|PIN block|GET CHALLENGE 8|random fill' : clear.slice(0, 34)
      pins.enciphered = right ? '9000' : '63C2'
      return pins.enciphered
    }
    const asked = hex.startsWith(GENERATE_AC)
      ? [...answers].find(([c]) => c.startsWith(hex.slice(0, 10)))?.[1][0]
      : // The recorder's terminal left Le away where the answer is a status alone.
        (next(hex) ?? next(hex.slice(0, -2)))
    const answer = asked ?? '6D00'
    if (hex.startsWith('00200080')) pins.plaintext = answer
    return answer
  })
  return { channel: cardChannel(session), sent, pins }
}

/** One purchase from selection to the second cryptogram; `capabilities` decide which offline PIN is asked for. */
async function purchase(vector: Vector, pem: string | undefined, capabilities: string) {
  const recorded = recordedInputs(vector)
  const { first: inputs } = recorded
  const card = recordedCardWithKey(vector, pem)
  const [yy, mm, dd] = toHex(inputs.get(TAG.TRANSACTION_DATE)!).match(/../g)!.map(Number)
  const data = new TransactionData()
  const first = await transactToFirstCryptogram(
    card.channel,
    data,
    {
      terminal: plainTerminal({
        countryCode: inputs.get(TAG.TERMINAL_COUNTRY)!,
        capabilities: fromHex(capabilities),
      }),
      applications: [
        {
          ...applicationRow({ aid: vector.capk.rid, asi: 1 }),
          // 9F09 is in no command: the recorded terminal's can't be told, and the card's own raises nothing.
          version: recorded.version,
          floorLimit: BigInt(vector.amount) + 1n,
          ddol: fromHex('9F3704'),
        },
      ],
      caKeys: [caKeyOf(vector.capk)],
      revoked: new Set(),
    },
    {
      type: inputs.get(TAG.TRANSACTION_TYPE)![0]!,
      amount: { minor: BigInt(vector.amount), currency: 'EUR' },
      sequence: 1,
      at: new Date(2000 + yy!, mm! - 1, dd!),
    },
    plainServices({
      pin: vector.pin,
      random: (length) =>
        length === 4 ? fromHex(vector.unpredictableNumber) : new Uint8Array(length).fill(0xa5),
    }),
  )
  if (isEnd(first)) return { end: first }
  const second = await completeTransaction(card.channel, data, first, {
    kind: 'answered',
    responseCode: ascii.decode(recorded.second.get(TAG.RESPONSE_CODE)!),
    approved: true,
    issuerAuthenticationData: fromHex(vector.expect.arpcExternalAuthenticate),
    scripts: [],
  })
  const generated = card.sent.filter((hex) => hex.startsWith(GENERATE_AC))
  return {
    firstCryptogram: first.cryptogramType,
    secondCryptogram: isEnd(second) ? second : second.cryptogramType,
    dda: first.oda.method === 'DDA' && first.oda.failure === undefined ? 'pass' : first.oda,
    arpcExternalAuthenticate: card.sent.find((hex) => hex.startsWith('0082'))?.slice(10),
    pins: card.pins,
    headers: generated.map((hex) => hex.slice(0, 10)),
    fields: generated.map((hex, i) =>
      dolFields(recorded.cdols[i]!, dataField(hex)).map(([tag, value]) => [tag, toHex(value)]),
    ),
  }
}

/**
 * The recorded commands' fields with one difference. The recorder's terminal has no processing restrictions and let a card
 * of 2018 pay in 2020; Book 3, 10.4.3 sets Expired application where 9A is later than 5F24, and the kernel must.
 */
function expectedFields(vector: Vector) {
  const { commands, cdols, first, expires } = recordedInputs(vector)
  const expired = toHex(first.get(TAG.TRANSACTION_DATE)!) > toHex(expires)
  return commands.map((command, i) =>
    dolFields(cdols[i]!, dataField(command)).map(([tag, value]) => {
      if (tag === TAG.TVR && expired) value[TVR.expired.byte - 1]! |= TVR.expired.mask
      return [tag, toHex(value)]
    }),
  )
}

/** 9F33 with both offline PINs, and with the one in clear only: the card's list then comes to the one or the other. */
const BOTH_PINS = 'E0B8C8'
const PLAINTEXT_PIN = 'E0A8C8'

const contactFlow: Handler = async (vector, file) => {
  const pems: [string, string][] = Object.entries(file.document.privateKeysPem ?? {})
  const pem = pems.find(([name]) => name.startsWith('icc_'))?.[1]
  const plain = await purchase(vector, pem, PLAINTEXT_PIN)
  const enciphered = pem === undefined ? undefined : await purchase(vector, pem, BOTH_PINS)
  if ('end' in plain || (enciphered && 'end' in enciphered)) return check(vector.expect, [plain, enciphered])
  const asserted = {
    plaintextPin: plain.pins.plaintext,
    encipheredPin: enciphered?.pins.enciphered,
    'enciphered PIN block data': enciphered?.pins.block,
  }
  for (const run of enciphered ? [plain, enciphered] : [plain]) {
    const { pins: _, headers, fields, ...outcome } = run
    const commands = recordedInputs(vector).commands.map((command) => command.slice(0, 10))
    const verdict = check(
      [vector.expect, commands, expectedFields(vector)],
      [{ ...outcome, ...asserted }, headers, fields],
    )
    if (verdict.kind !== 'passed') return verdict
  }
  return passed
}

export const CONTACT_FLOWS: readonly Kind[] = [
  ...CARD_IMAGES,
  { kind: 'contact-flows/*', handler: contactFlow },
  ...TRANSCRIPTS,
]
