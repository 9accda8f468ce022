// A card as a JSON file: what it holds, how it behaves, what its issuer answers; checked before anything is made of it.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Static, Type } from 'typebox'
import { PosternError } from '../../../hal/base/errors.js'
import { packageRoot } from '../../../hal/base/package-root.js'
import { checker } from '../../../runtime/api/contract.js'
import { TEST_IIN } from './scheme.js'

const hex = (min: number, max: number) => Type.String({ pattern: `^([0-9A-F]{2}){${min},${max}}$` })
const digits = (min: number, max: number) => Type.String({ pattern: `^[0-9]{${min},${max}}$` })
const minor = Type.Integer({ minimum: 0, maximum: 999_999_999_999 })
const strict = { additionalProperties: false } as const
const oneOf = <T extends string>(...values: readonly T[]) =>
  Type.Union(values.map((value) => Type.Literal(value))) as unknown as ReturnType<typeof Type.Literal<T>>

/** CVM codes (EMV Book 3, annex C3, table 43). */
export const CVM_METHODS = {
  fail: 0x00,
  plaintextPin: 0x01,
  onlinePin: 0x02,
  plaintextPinAndSignature: 0x03,
  encipheredPin: 0x04,
  encipheredPinAndSignature: 0x05,
  signature: 0x1e,
  none: 0x1f,
} as const

/** CVM condition codes (EMV Book 3, annex C3, table 44). */
export const CVM_CONDITIONS = {
  always: 0x00,
  unattendedCash: 0x01,
  notCash: 0x02,
  supported: 0x03,
  manualCash: 0x04,
  cashback: 0x05,
  underX: 0x06,
  overX: 0x07,
  underY: 0x08,
  overY: 0x09,
} as const

const CvmRule = Type.Object(
  {
    method: oneOf(...(Object.keys(CVM_METHODS) as (keyof typeof CVM_METHODS)[])),
    when: oneOf(...(Object.keys(CVM_CONDITIONS) as (keyof typeof CVM_CONDITIONS)[])),
    /** Bit 7: where this one fails, the next rule is tried. */
    orNext: Type.Optional(Type.Boolean()),
  },
  strict,
)

const ActionCodes = Type.Object({ denial: hex(5, 5), online: hex(5, 5), default: hex(5, 5) }, strict)

const Risk = Type.Object(
  {
    /** `asked` follows the terminal within the limits below; `online` never approves by itself; `decline` always refuses. */
    first: oneOf('asked', 'online', 'decline'),
    offlineLimitMinor: Type.Optional(minor),
    /** Consecutive offline transactions after which the card asks for the issuer (9F14), and refuses without it (9F23). */
    lowerOffline: Type.Optional(Type.Integer({ minimum: 0, maximum: 255 })),
    upperOffline: Type.Optional(Type.Integer({ minimum: 0, maximum: 255 })),
    whenUnable: oneOf('approve', 'decline'),
    /** Refuses an approval of the issuer that was not authenticated. */
    issuerAuthenticationMandatory: Type.Optional(Type.Boolean()),
  },
  strict,
)

const Application = Type.Object(
  {
    aid: hex(5, 16),
    label: Type.String({ pattern: '^[ -~]{1,16}$' }),
    preferredName: Type.Optional(Type.String({ minLength: 1, maxLength: 16 })),
    /** ISO 8859 part in which the preferred name is written (9F11). */
    codeTable: Type.Optional(Type.Integer({ minimum: 1, maximum: 10 })),
    priority: Type.Integer({ minimum: 1, maximum: 15 }),
    confirm: Type.Optional(Type.Boolean()),
    pan: digits(12, 19),
    panSequence: digits(2, 2),
    /** YYMMDD. */
    effective: digits(6, 6),
    expiry: digits(6, 6),
    serviceCode: digits(3, 3),
    authentication: oneOf('none', 'sda', 'dda', 'cda', 'xda'),
    /** Which of the scheme's CAs: with `xda` its ECC key and curve, else its RSA key. */
    caIndex: oneOf('01', '02'),
    cvm: Type.Object(
      { xMinor: minor, yMinor: minor, rules: Type.Array(CvmRule, { minItems: 1, maxItems: 10 }) },
      strict,
    ),
    /** A key of its own for enciphered PINs (9F2D), else the card's general one serves (EMV Book 2, 7.1). */
    separatePinKey: Type.Optional(Type.Boolean()),
    issuerAuthentication: oneOf('none', 'external', 'inGenerateAc'),
    cryptogramVersion: Type.Union([Type.Literal(10), Type.Literal(18)]),
    /** Answers of GPO and GENERATE AC: format 1 is the primitive 80, format 2 the template 77 (EMV Book 3, 6.5). */
    responseFormat: Type.Union([Type.Literal(1), Type.Literal(2)]),
    /** PDOL, tags and lengths. */
    pdol: Type.Optional(hex(2, 64)),
    actionCodes: Type.Optional(ActionCodes),
    /** Application usage control (9F07). */
    usage: Type.Optional(hex(2, 2)),
    risk: Risk,
    atc: Type.Optional(Type.Integer({ minimum: 0, maximum: 65535 })),
    blocked: Type.Optional(Type.Boolean()),
    faults: Type.Optional(
      Type.Array(oneOf('staticSignature', 'dynamicSignature', 'iccCertificate', 'cryptogram'), {
        maxItems: 4,
      }),
    ),
  },
  strict,
)

const ScriptCommand = Type.Union([
  Type.Object({ kind: oneOf('blockApplication', 'unblockApplication', 'blockCard', 'unblockPin') }, strict),
  Type.Object({ kind: Type.Literal('changePin'), pin: digits(4, 12) }, strict),
  Type.Object({ kind: Type.Literal('putData'), tag: hex(2, 2), value: hex(1, 32) }, strict),
])

const Script = Type.Object(
  {
    when: oneOf('approved', 'declined', 'always'),
    /** 71 goes to the card before its final cryptogram, 72 after (EMV Book 3, 10.10). */
    template: oneOf('71', '72'),
    identifier: Type.Optional(hex(4, 4)),
    commands: Type.Array(ScriptCommand, { minItems: 1, maxItems: 4 }),
    /** Spoils the MACs, so that the card refuses. */
    wrongMac: Type.Optional(Type.Boolean()),
  },
  strict,
)

const Issuer = Type.Object(
  {
    /** Response code 51 above it. */
    limitMinor: Type.Optional(minor),
    /** The code that this card always gets, unless PIN or cryptogram are wrong. */
    answer: Type.Optional(Type.String({ pattern: '^[0-9A-Z]{2}$' })),
    /** Sends an ARPC that does not hold. */
    wrongArpc: Type.Optional(Type.Boolean()),
    scripts: Type.Optional(Type.Array(Script, { maxItems: 4 })),
  },
  strict,
)

/** Ways in which a card may work against its reader. */
export const HOSTILE_HABITS = [
  'endless',
  'endlessRecords',
  'giantLength',
  'deepNesting',
  'slow',
  'garbage',
  'mute',
] as const

const Profile = Type.Object(
  {
    id: Type.String({ pattern: '^[a-z0-9-]{1,40}$' }),
    /** Place in the deck, from the left. */
    order: Type.Integer({ minimum: 1, maximum: 999 }),
    label: Type.String({ minLength: 1, maxLength: 40 }),
    description: Type.String({ minLength: 1, maxLength: 300 }),
    colour: Type.String({ pattern: '^#[0-9a-f]{6}$' }),
    transport: oneOf('T=0', 'T=1'),
    cardholder: Type.String({ pattern: '^[A-Z /]{2,26}$' }),
    /** The right PIN; a test card's is no secret. */
    pin: digits(4, 12),
    pinTryLimit: Type.Integer({ minimum: 1, maximum: 15 }),
    pinTriesLeft: Type.Optional(Type.Integer({ minimum: 0, maximum: 15 })),
    /** Up to four two-letter codes in order of preference (5F2D). */
    languages: Type.Array(Type.String({ pattern: '^[a-z]{2}$' }), { minItems: 1, maxItems: 4 }),
    /** ISO 3166 and ISO 4217, numeric. */
    country: digits(3, 3),
    currency: digits(3, 3),
    paymentSystemEnvironment: Type.Boolean(),
    applications: Type.Array(Application, { minItems: 1, maxItems: 4 }),
    issuer: Type.Optional(Issuer),
    hostile: Type.Optional(oneOf(...HOSTILE_HABITS)),
    /** A forger's stripe: what the chip says of track 2, its CVV included. Else each card has its first application's. */
    stripe: Type.Optional(Type.Literal('chipImage')),
  },
  strict,
)

export type CardProfile = Static<typeof Profile>
export type ApplicationProfile = Static<typeof Application>
export type ScriptCommandProfile = Static<typeof ScriptCommand>

/** The cards that come with the house. */
export const CARDS_DIR = join(packageRoot, 'scripts/dev/issuer/cards')

function luhnHolds(pan: string): boolean {
  const sum = [...pan].reverse().reduce((total, digit, i) => {
    const value = Number(digit) * (i % 2 === 1 ? 2 : 1)
    return total + (value > 9 ? value - 9 : value)
  }, 0)
  return sum % 10 === 0
}

/** Checks what was read from a profile file. @throws PosternError `CARD_PROFILE_INVALID` with the path of the fault. */
export function parseProfile(value: unknown, name: string): CardProfile {
  const fault = checker(Profile)(value)
  if (fault !== undefined)
    throw new PosternError('CARD_PROFILE_INVALID', `${name}: ${fault}`, { profile: name })
  const profile = value as CardProfile
  for (const { pan } of profile.applications) {
    if (!pan.startsWith(TEST_IIN) || !luhnHolds(pan))
      throw new PosternError(
        'CARD_PROFILE_INVALID',
        `${name}: a PAN must begin with ${TEST_IIN} and end with its check digit`,
        { profile: name },
      )
  }
  return profile
}

/** Every `*.json` of a folder, in deck order. @throws PosternError `CARD_PROFILE_INVALID` */
export function loadProfiles(dir: string = CARDS_DIR): CardProfile[] {
  const profiles = readdirSync(dir)
    .filter((name) => name.endsWith('.json'))
    .map((name) => {
      const profile = parseProfile(JSON.parse(readFileSync(join(dir, name), 'utf8')), name)
      if (`${profile.id}.json` !== name)
        throw new PosternError('CARD_PROFILE_INVALID', `${name}: id must be the file's name`, {
          profile: name,
        })
      return profile
    })
  return profiles.sort((a, b) => a.order - b.order)
}
