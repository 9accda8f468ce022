// Which code page has which number of ESC t, by make. Names are those of the encoder library; the order is that of trying.
// Sources: the makers' tables as collected in @point-of-sale/receipt-printer-encoder 4.0.1 (a test compares them), and
// for the bare mechanism the header of the Adafruit Thermal Printer Library.

type CodePages = Readonly<Record<string, number>>

/** Epson ESC/POS Command Reference, ESC t; clones of both widths follow it. */
export const EPSON_PAGES = {
  cp437: 0,
  cp850: 2,
  windows1252: 16,
  cp866: 17,
  cp852: 18,
  cp858: 19,
  cp857: 13,
  cp737: 14,
  windows1250: 45,
  windows1251: 46,
  windows1253: 47,
  windows1254: 48,
  windows1257: 51,
} as const satisfies CodePages

/** Epson's before 2005 (TM-T88IV, TM-T70), and Star's in ESC/POS mode: a subset of the numbers above. */
export const EPSON_LEGACY_PAGES = {
  cp437: 0,
  cp850: 2,
  windows1252: 16,
  cp866: 17,
  cp852: 18,
  cp858: 19,
} as const satisfies CodePages

export const CITIZEN_PAGES = {
  cp437: 0,
  cp858: 2,
  windows1252: 16,
  cp852: 6,
  cp866: 7,
  cp857: 8,
} as const satisfies CodePages

export const BIXOLON_PAGES = {
  cp437: 0,
  cp850: 2,
  windows1252: 16,
  cp866: 17,
  cp852: 18,
  cp858: 19,
  windows1253: 24,
  windows1254: 25,
  windows1257: 26,
  windows1251: 28,
  windows1250: 47,
} as const satisfies CodePages

/** POS-5890 and its many brothers, 58 mm. */
export const POS5890_PAGES = {
  cp437: 0,
  cp850: 2,
  windows1252: 16,
  cp866: 17,
  cp852: 18,
  cp858: 19,
  windows1251: 23,
  cp737: 24,
  windows1257: 25,
  windows1250: 72,
} as const satisfies CodePages

export const XPRINTER_PAGES = {
  cp437: 0,
  cp850: 2,
  windows1252: 16,
  cp866: 17,
  cp852: 18,
  cp858: 19,
  windows1251: 23,
  windows1253: 7,
  cp737: 24,
  windows1257: 25,
} as const satisfies CodePages

export const SUNMI_PAGES = {
  cp437: 0,
  cp850: 2,
  windows1252: 16,
  cp866: 17,
  cp852: 18,
  cp858: 19,
  cp857: 13,
  cp737: 14,
  cp775: 33,
} as const satisfies CodePages

/** Bare 58 mm mechanisms with the CSN-A2 controller. */
export const MECHANISM_PAGES = {
  cp437: 0,
  cp850: 2,
  windows1252: 16,
  cp866: 7,
  cp852: 18,
  cp858: 19,
  windows1251: 6,
  cp737: 24,
  windows1257: 25,
  cp857: 29,
  windows1250: 30,
  cp775: 31,
  windows1254: 32,
} as const satisfies CodePages
