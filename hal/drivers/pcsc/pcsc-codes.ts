// PC/SC return codes and reader states that the driver tells apart. PC/SC part 3 and 5, as in pcsclite's winscard.h.

/** SCARD_STATE bits of a reader; the upper 16 bits count insertions and removals. */
export const STATE = {
  changed: 0x0002,
  unknown: 0x0004,
  unavailable: 0x0008,
  empty: 0x0010,
  present: 0x0020,
  exclusive: 0x0080,
  inUse: 0x0100,
  mute: 0x0200,
} as const

export type PcscFailure =
  | 'cancelled' // our own close()
  | 'removed'
  | 'reset' // by another program, or the card was out for a moment
  | 'mute'
  | 'shared' // another program has the card
  | 'lost' // reader or daemon is gone
  | 'transport' // the command did not get through: removed or broken, the reader's state tells

/** Codes by number; what is not here is `transport`. */
const FAILURES: Readonly<Record<string, PcscFailure>> = {
  '80100002': 'cancelled', // SCARD_E_CANCELLED
  '80100009': 'lost', // SCARD_E_UNKNOWN_READER
  '8010000b': 'shared', // SCARD_E_SHARING_VIOLATION
  '8010000c': 'removed', // SCARD_E_NO_SMARTCARD
  '8010000f': 'mute', // SCARD_E_PROTO_MISMATCH: an ATR without T=0 and T=1
  '80100017': 'lost', // SCARD_E_READER_UNAVAILABLE
  '8010001d': 'lost', // SCARD_E_NO_SERVICE
  '8010001e': 'lost', // SCARD_E_SERVICE_STOPPED
  '80100065': 'mute', // SCARD_W_UNSUPPORTED_CARD
  '80100066': 'mute', // SCARD_W_UNRESPONSIVE_CARD
  '80100067': 'mute', // SCARD_W_UNPOWERED_CARD
  '80100068': 'reset', // SCARD_W_RESET_CARD
  '80100069': 'removed', // SCARD_W_REMOVED_CARD
}

/** The failure behind an error of the binding, which gives the code in its text only, as `(0x80100069)`. */
export function pcscFailure(error: unknown): PcscFailure {
  const code = /0x([0-9a-f]{8})/i.exec(error instanceof Error ? error.message : String(error))?.[1]
  return (code && FAILURES[code.toLowerCase()]) || 'transport'
}

/** What the library `smartcard` says in the place of a code, as in its pcsc_errors.h. */
export const SMARTCARD_WORDS: Readonly<Record<string, string>> = {
  'Operation cancelled': '80100002',
  'Unknown reader': '80100009',
  'Sharing violation': '8010000b',
  'No smart card present': '8010000c',
  'Protocol mismatch': '8010000f',
  'Reader unavailable': '80100017',
  'No readers available': '8010002e',
  'PC/SC service not running': '8010001d',
  'PC/SC service stopped': '8010001e',
  'Card is not supported': '80100065',
  'Card is unresponsive': '80100066',
  'Card is unpowered': '80100067',
  'Card was reset': '80100068',
  'Card was removed': '80100069',
  'Invalid handle': '80100069', // of a card whose context or reader went
}
