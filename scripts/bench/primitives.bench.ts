// The parts that every payment goes through: messages, keys, the journal; each beside something well known.
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromHex, toHex } from '../../hal/base/bytes.js'
import { encryptEcb } from '../../hal/base/ciphers.js'
import { systemClock, systemRandom } from '../../hal/base/clock.js'
import { deriveInitialKey } from '../../runtime/secure/keys/aes-dukpt.js'
import { loadRegisters, takeTransactionKey } from '../../runtime/secure/keys/dukpt-registers.js'
import {
  defineDialect,
  type Message,
  pack,
  patchDialect,
  unpack,
} from '../../runtime/secure/payments/iso8583/codec.js'
import { ISO87_ASCII_TABLE } from '../../runtime/secure/payments/iso8583/dialects/iso87-ascii.js'
import { POSTERN_DEV } from '../../runtime/secure/payments/iso8583/dialects/postern-dev.js'
import {
  encodeCardData,
  encodeSecurityControl,
} from '../../runtime/secure/payments/iso8583/security-fields.js'
import { openJournal } from '../../runtime/secure/payments/journal.js'
import { type Bench, type Row, ratesPerSecond } from './measure.js'

/** What is used of npm's `iso_8583`, which brings no types. */
type Peer = new (
  message?: Record<string, string>,
) => { getBufferMessage(): Buffer; getIsoJSON(message: Buffer): unknown }

/** A sale of the size of a real one. */
function sale(): Message {
  const ksn = systemRandom(12)
  const fields: Record<string, string | Uint8Array> = {
    3: '000000',
    4: '1250',
    7: '1122054501',
    11: '000042',
    12: '064501',
    13: '1122',
    22: '051',
    24: '001',
    25: '00',
    41: 'T0000001',
    42: 'MERCHANT0000001',
    48: encodeCardData({ ksn, bytes: systemRandom(32) }),
    49: '978',
    52: systemRandom(16),
    53: encodeSecurityControl({ macKsn: ksn, pinKsn: ksn }),
    55: systemRandom(130),
    60: '000007',
    62: '000123',
    64: systemRandom(8),
  }
  return { mti: '0200', fields: new Map(Object.entries(fields)) }
}

/** What both codecs carry alike. */
const TEXT_FIELDS: Readonly<Record<string, string>> = {
  3: '000000',
  4: '000000001250',
  7: '1122054501',
  11: '000042',
  12: '064501',
  13: '1122',
  22: '051',
  24: '001',
  25: '00',
  32: '1234567890',
  37: '000000000001',
  41: 'T0000001',
  42: 'MERCHANT0000001',
  43: 'POSTERN PARCELS          DOORSTEP     DE',
  49: '978',
  60: '000007',
  62: '000123',
}
const TEXT_DIALECT = defineDialect(
  patchDialect(ISO87_ASCII_TABLE, { name: 'bench', bitmaps: ['binary', 'binary'] }),
)

function messages(): Row[] {
  const message = sale()
  const content = {
    mti: message.mti,
    fields: Object.fromEntries(
      [...message.fields].map(([key, value]) => [key, typeof value === 'string' ? value : toHex(value)]),
    ),
  }
  const Iso8583 = createRequire(import.meta.url)('iso_8583') as Peer
  const [ours, json] = ratesPerSecond([
    () => unpack(POSTERN_DEV, pack(POSTERN_DEV, message)),
    () => JSON.parse(JSON.stringify(content)),
  ])
  // Like for like: the peer knows no binary and no subfields, so both write these fields as text, with a binary bitmap.
  const text: Message = { mti: '0200', fields: new Map(Object.entries(TEXT_FIELDS)) }
  const [alike, npm] = ratesPerSecond([
    () => unpack(TEXT_DIALECT, pack(TEXT_DIALECT, text)),
    () => new Iso8583().getIsoJSON(new Iso8583({ 0: '0200', ...TEXT_FIELDS }).getBufferMessage()),
  ])
  return [
    {
      what: `ISO 8583 sale, pack and unpack (${pack(POSTERN_DEV, message).length} bytes)`,
      value: ours!,
      unit: '/s',
      peer: { what: `JSON, stringify and parse (${JSON.stringify(content).length} bytes)`, value: json! },
    },
    {
      what: `${text.fields.size} fields of text, pack and unpack (${pack(TEXT_DIALECT, text).length} bytes)`,
      value: alike!,
      unit: '/s',
      peer: { what: 'iso_8583 2.6.7, the same fields', value: npm! },
    },
  ]
}

function keys(): Row[] {
  const fresh = () => {
    const ikid = systemRandom(8)
    return loadRegisters(deriveInitialKey(systemRandom(16), ikid), ikid)
  }
  const registers = fresh()
  const key = systemRandom(16)
  const block = fromHex('00112233445566778899aabbccddeeff')
  const [ours, aes] = ratesPerSecond([
    () => takeTransactionKey(registers),
    () => encryptEcb('aes', key, block),
  ])
  return [
    {
      what: 'AES DUKPT, next transaction key',
      value: ours!,
      unit: '/s',
      peer: { what: 'one AES-128 block by node:crypto', value: aes! },
    },
  ]
}

/** Durable steps, the smallest there is, against bytes appended to a file and flushed. */
function journal(folder: string): Row[] {
  const store = openJournal(join(folder, 'journal.db'), systemClock)
  const raw = openSync(join(folder, 'raw'), 'a', 0o600)
  const bytes = systemRandom(600)
  try {
    const [ours, flush] = ratesPerSecond([
      () => store.commit('bench', (step) => step.reserve('stan')),
      () => {
        writeSync(raw, bytes)
        fdatasyncSync(raw)
      },
    ])
    return [
      {
        what: 'journal, durable steps',
        value: ours!,
        unit: '/s',
        peer: { what: 'append 600 bytes and fdatasync', value: flush! },
      },
    ]
  } finally {
    closeSync(raw)
    store.close()
  }
}

export const bench: Bench = {
  title: 'messages, keys, journal',
  async run() {
    const folder = mkdtempSync(join(tmpdir(), 'postern-bench-'))
    try {
      return [...messages(), ...keys(), ...journal(folder)]
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}
