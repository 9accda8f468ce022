// Fuzz target: a whole transaction with a card that answers plausibly, wrongly or wildly: a defined outcome, bounded commands, no throw.
import { ascii, concat } from '../../hal/base/bytes.js'
import { encodeTlv } from '../../hal/base/tlv.js'
import type { ChipCardSession, TransmitOutcome } from '../../hal/chip-card-reader.js'
import { isEnd } from '../../runtime/secure/emv/card-end.js'
import type { EmvConfiguration } from '../../runtime/secure/emv/configuration.js'
import { completeTransaction, transactToFirstCryptogram } from '../../runtime/secure/emv/transaction.js'
import { TransactionData } from '../../runtime/secure/emv/transaction-data.js'
import { cardChannel, MAX_EXCHANGES } from '../../runtime/secure/emv/transport.js'
import { diceOf } from '../../scripts/check/fuzz-mutation.js'
import { type Choices, choicesOf } from './support/choices.js'

/** Tags that a record may plausibly hold. */
const RECORD_TAGS = [
  0x57, 0x5a, 0x5f20, 0x5f24, 0x5f25, 0x5f28, 0x5f34, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x92, 0x93, 0x9f07,
  0x9f08, 0x9f0d, 0x9f0e, 0x9f0f, 0x9f14, 0x9f23, 0x9f2d, 0x9f2e, 0x9f32, 0x9f42, 0x9f46, 0x9f47, 0x9f48,
  0x9f49, 0x9f4a, 0x97,
]
const AID = Uint8Array.of(0xa0, 0, 0, 0, 3, 0x10, 0x10)
const bytes5 = (byte: number) => new Uint8Array(5).fill(byte)

/** Well-formed values of the objects that lead further into the kernel. */
function plausible(tag: number, random: Choices): Uint8Array {
  const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))
  switch (tag) {
    case 0x5a:
      return hex('4761739001010119')
    case 0x57:
      return hex('4761739001010119d30122011234567890')
    case 0x5f24:
      return hex('301231')
    case 0x8c:
      return hex(['9f02069f3704', '9f02069f37049814', '950582029a03'][random.below(3)]!)
    case 0x8d:
      return hex(['8a029f3704', '8a02910a9505'][random.below(2)]!)
    case 0x8e: {
      const rules = Array.from({ length: 1 + random.below(5) }, () => [
        [0, 1, 2, 3, 4, 5, 0x1e, 0x1f, 6][random.below(9)]! | (random.below(2) * 0x40),
        random.below(11),
      ])
      return concat(new Uint8Array(8), Uint8Array.from(rules.flat()))
    }
    default:
      return random.bytes(random.below(20))
  }
}

function cardOf(random: Choices, counter: { commands: number }): ChipCardSession {
  const ok = (data: Uint8Array) => concat(data, Uint8Array.of(0x90, 0x00))
  const record = () =>
    encodeTlv(
      0x70,
      concat(
        ...RECORD_TAGS.filter(
          (tag) => random.below(10) < ([0x5a, 0x5f24, 0x8c, 0x8d, 0x8e].includes(tag) ? 9 : 3),
        ).map((tag) =>
          encodeTlv(tag, random.below(8) === 0 ? random.bytes(random.below(30)) : plausible(tag, random)),
        ),
      ),
    )
  const cryptogram = (asked: number) => {
    const cid = random.below(3) > 0 ? asked & 0xc0 : [0x00, 0x40, 0x80, 0x88, 0xc0][random.below(5)]!
    const fields = concat(Uint8Array.of(cid, 0, 1), random.bytes(8 + random.below(3)))
    if (random.below(2) === 0) return encodeTlv(0x80, fields)
    return encodeTlv(
      0x77,
      concat(
        encodeTlv(0x9f27, Uint8Array.of(cid)),
        encodeTlv(0x9f36, Uint8Array.of(0, 1)),
        encodeTlv(0x9f26, random.bytes(8)),
        random.below(2) === 0 ? encodeTlv(0x9f4b, random.bytes(64)) : new Uint8Array(),
      ),
    )
  }
  const answer = (command: Uint8Array): Uint8Array => {
    switch (command[1]) {
      case 0xa4: {
        const name = command.subarray(5, 5 + command[4]!)
        if (name[0] !== 0xa0) return Uint8Array.of(0x6a, 0x82)
        const fields = [
          encodeTlv(0x50, ascii.encode('CARD')),
          encodeTlv(0x87, Uint8Array.of(random.below(144))),
        ]
        if (random.below(3) === 0) fields.push(encodeTlv(0x9f38, Uint8Array.of(0x9f, 0x1a, 2)))
        const longer = random.below(6) === 0 ? random.bytes(1) : new Uint8Array()
        return ok(
          encodeTlv(0x6f, concat(encodeTlv(0x84, concat(name, longer)), encodeTlv(0xa5, concat(...fields)))),
        )
      }
      case 0xa8:
        return ok(
          encodeTlv(
            0x80,
            concat(random.bytes(2), Uint8Array.of(0x08, 1, random.below(6) === 0 ? 2 : 1, random.below(2))),
          ),
        )
      case 0xb2:
        return ok(record())
      case 0xae:
        return ok(cryptogram(command[2]!))
      case 0xca:
        if (command[2] !== 0x9f || (command[3]! & 0x80) !== 0) return Uint8Array.of(0x6a, 0x88)
        return ok(encodeTlv(command[2]! * 256 + command[3]!, random.bytes(command[3] === 0x17 ? 1 : 2)))
      case 0x20:
        return Uint8Array.of(0x63, 0xc0 | random.below(16))
      default:
        return ok(random.bytes(random.below(40)))
    }
  }
  return {
    atr: Uint8Array.of(0x3b, 0x60, 0, 0),
    protocol: random.below(2) === 0 ? 'T=0' : 'T=1',
    async transmit(command): Promise<TransmitOutcome> {
      counter.commands++
      const mood = random.below(60)
      if (mood === 0) return { kind: (['removed', 'mute', 'timeout'] as const)[random.below(3)]! }
      if (mood === 1) return { kind: 'response', bytes: random.bytes(random.below(258)) }
      if (mood === 2)
        return { kind: 'response', bytes: Uint8Array.of(0x60 + random.below(16), random.below(256)) }
      const bytes = answer(command)
      if (mood === 3) bytes[random.below(bytes.length)] = random.below(256)
      return { kind: 'response', bytes }
    },
    release: async () => undefined,
  }
}

function configurationOf(random: Choices): EmvConfiguration {
  const code = () => bytes5([0x00, 0xff, 0x08, 0x80][random.below(4)]!)
  return {
    terminal: {
      countryCode: Uint8Array.of(2, 0x76),
      currency: 'EUR',
      type: 0x20 + 1 + random.below(6),
      capabilities: concat(Uint8Array.of(0xe0), random.bytes(2)),
      additionalCapabilities: random.bytes(5),
      acquirerId: undefined,
      merchantCategoryCode: undefined,
      merchantId: undefined,
      terminalId: undefined,
      merchantName: undefined,
      ifdSerial: undefined,
      pinBypass: random.below(2) === 0,
    },
    applications: [
      {
        aid: AID,
        partialSelection: random.below(2) === 0,
        version: Uint8Array.of(0, 1),
        tac: { denial: bytes5(0), online: code(), default: code() },
        floorLimit: BigInt(random.below(3) * 1000),
        randomSelection:
          random.below(2) === 0 ? { targetPercent: 10, maximumTargetPercent: 90, threshold: 0n } : undefined,
        ddol: Uint8Array.of(0x9f, 0x37, 4),
        tdol: undefined,
        riskManagementData: undefined,
      },
    ],
    caKeys: [],
    revoked: new Set(),
  }
}

export const target = {
  name: 'the contact kernel against a made-up card',
  async run(bytes: Uint8Array, seed: number): Promise<string> {
    const random = choicesOf(bytes, diceOf(seed))
    const counter = { commands: 0 }
    const channel = cardChannel(cardOf(random, counter))
    const data = new TransactionData()
    const first = await transactToFirstCryptogram(
      channel,
      data,
      configurationOf(random),
      {
        type: [0x00, 0x01, 0x09, 0x20][random.below(4)]!,
        amount: { minor: BigInt(random.below(3000)), currency: 'EUR' },
        sequence: 1 + random.below(99_999_999),
        at: new Date(2026, 10, 22),
      },
      {
        random: random.bytes,
        chooseApplication: async (names) => random.below(names.length),
        confirmApplication: async () => random.below(4) > 0,
        preferLanguages: () => undefined,
        enterPin: async () =>
          random.below(3) > 0
            ? { kind: 'entered', digits: ascii.encode('1234') }
            : { kind: (['bypassed', 'cancelled', 'timeout'] as const)[random.below(3)]! },
        encryptPin: async () => ({ ksn: new Uint8Array(12), bytes: new Uint8Array(16) }),
        cardHistory: async () => ({ lastAmountOfCard: 0n, onExceptionFile: false }),
        forceOnline: false,
      },
    )
    let word = isEnd(first) ? first.rule : `${first.decision} ${first.reason}`
    if (!isEnd(first) && first.decision === 'online') {
      const second = await completeTransaction(
        channel,
        data,
        first,
        random.below(4) === 0
          ? { kind: 'unableToGoOnline' }
          : {
              kind: 'answered',
              responseCode: '00',
              approved: random.below(2) === 0,
              issuerAuthenticationData: random.below(2) === 0 ? random.bytes(8) : undefined,
              scripts: [encodeTlv(0x71, bytes), encodeTlv(0x72, encodeTlv(0x86, random.bytes(9))), bytes],
            },
      )
      word = isEnd(second) ? `then ${second.rule}` : `then ${second.approved} ${second.cryptogramType}`
    }
    if (counter.commands > MAX_EXCHANGES) throw new Error(`${counter.commands} commands`)
    return word
  },
}
