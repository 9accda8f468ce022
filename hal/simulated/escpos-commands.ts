// What each ESC/POS command does to the printer: one row a command, by its name in the reference.
// Epson ESC/POS Command Reference. Commands without a row are read over and counted, as small printers do.
import { type Bitmap, blankBitmap, enlarge } from '../base/bitmap.js'
import { code128Modules, code128Text } from '../base/code128.js'
import { qrModules } from '../base/qr-modules.js'
import { codePageUpperHalf } from './escpos-code-pages.js'
import { DEFAULT_STYLE, type TextStyle, type Typesetter } from './escpos-typesetter.js'

/** What the mechanism has to do, in order. */
export type PrinterAction =
  | { readonly kind: 'rows'; readonly rows: readonly Uint8Array[] }
  | { readonly kind: 'cut' }
  /** Answered when everything before it is on paper. */
  | { readonly kind: 'reply'; readonly what: 'paperSensor' | 'paperEnd' | 'identity' }

/** The interpreter's memory; `ESC @` sets it back. */
export interface PrinterMemory {
  readonly style: TextStyle
  codePage: number
  barcode: { height: number; module: number; text: 0 | 1 | 2 | 3 }
  qr: { module: number; level: number; data: Uint8Array }
  readonly typesetter: Typesetter
  readonly dots: number
  readonly actions: PrinterAction[]
  /** Things that this printer was asked for and can't do, for the log. */
  refuse(what: string): void
}

type Handler = (memory: PrinterMemory, args: Uint8Array) => void

/** Puts everything back as after switching on. */
export function resetMemory(memory: PrinterMemory): void {
  Object.assign(memory.style, DEFAULT_STYLE)
  memory.codePage = 0
  memory.barcode = { height: 162, module: 3, text: 0 }
  memory.qr = { module: 3, level: 48, data: new Uint8Array(0) }
  memory.typesetter.clear()
}

/** Prints what is in the line buffer and feeds at least `dots`. */
export function feedLine(memory: PrinterMemory, dots = memory.style.lineSpacing): void {
  memory.actions.push({ kind: 'rows', rows: memory.typesetter.feed(dots, memory.style.align) })
}

/** One character of text: the code page's, on the next line where this one is full. */
export function putCharacter(memory: PrinterMemory, byte: number): void {
  const upper = byte < 0x80 ? undefined : codePageUpperHalf(memory.codePage)
  const character = byte < 0x80 ? String.fromCharCode(byte) : (upper?.[byte - 0x80] ?? '?')
  const cell = memory.typesetter.character(character, memory.style)
  if (!memory.typesetter.fits(cell.width)) feedLine(memory)
  memory.typesetter.add(cell)
}

/** A symbol stands on lines of its own, aligned like text. */
function putSymbol(memory: PrinterMemory, symbol: Bitmap, what: string): void {
  if (!memory.typesetter.empty) feedLine(memory)
  if (symbol.width > memory.dots) return memory.refuse(`${what} of ${symbol.width} dots on ${memory.dots}`)
  memory.typesetter.add(symbol)
  feedLine(memory, 0)
}

function putBarcode(memory: PrinterMemory, args: Uint8Array): void {
  const [type = 0, length = 0] = args
  // Of the symbologies only CODE128 (m = 73) is built into this printer.
  const data = args.subarray(2, 2 + length)
  const modules = type === 73 ? code128Modules(data) : undefined
  if (modules === undefined) return memory.refuse(`barcode type ${type}`)
  const symbol = blankBitmap(modules.length, 1)
  symbol.data.set(modules)
  const text = () => {
    for (const character of code128Text(data)) {
      memory.typesetter.add(memory.typesetter.character(character, { ...DEFAULT_STYLE }))
    }
    feedLine(memory, 0)
  }
  if (memory.barcode.text & 1) text()
  putSymbol(memory, enlarge(symbol, memory.barcode.module, memory.barcode.height), 'barcode')
  if (memory.barcode.text & 2) text()
}

/** Error correction by the parameter of function 169: 48 L, 49 M, 50 Q, 51 H. */
const QR_LEVELS = ['low', 'medium', 'quartile', 'high'] as const

/** `GS ( k pL pH cn fn …`: cn 49 is QR; functions 167, 169, 180, 181. */
function twoDimensional(memory: PrinterMemory, args: Uint8Array): void {
  const [kind, , , cn, fn, value = 0] = args
  // GS ( K sets the density: the machine's paper knows one black.
  if (kind === 0x4b) return
  if (kind !== 0x6b || cn !== 49) return memory.refuse(`GS ( ${kind} ${cn}`)
  if (fn === 67) memory.qr.module = Math.min(16, Math.max(1, value))
  else if (fn === 69) memory.qr.level = value
  else if (fn === 80) memory.qr.data = args.slice(6)
  else if (fn === 81) {
    const level = QR_LEVELS[memory.qr.level - 48] ?? 'low'
    const modules = qrModules(new TextDecoder().decode(memory.qr.data), level)
    if (modules === undefined) return memory.refuse('QR data too long')
    const symbol = blankBitmap(modules.length, modules.length)
    for (const [y, row] of modules.entries())
      for (const [x, black] of row.entries()) symbol.data[y * modules.length + x] = black ? 1 : 0
    putSymbol(memory, enlarge(symbol, memory.qr.module, memory.qr.module), 'QR')
  }
}

const ALIGN = ['left', 'center', 'right'] as const
const times = (n: number) => ({ timesX: ((n >> 4) & 7) + 1, timesY: (n & 7) + 1 })

/** The table. `args` is what follows the prefix. */
export const ESCPOS_HANDLERS: Readonly<Record<string, Handler>> = {
  LF: (m) => feedLine(m),
  CR: () => {},
  HT: (m) => {
    const width = 12 * m.style.timesX
    for (let n = 8 - (Math.floor(m.typesetter.width / width) % 8); n > 0; n--) putCharacter(m, 0x20)
  },
  CAN: (m) => m.typesetter.clear(),
  'ESC @': resetMemory,
  'ESC !': (m, [n = 0]) => {
    Object.assign(m.style, {
      font: n & 1 ? 'B' : 'A',
      bold: (n & 8) !== 0,
      timesY: n & 16 ? 2 : 1,
      timesX: n & 32 ? 2 : 1,
      underline: n & 128 ? 1 : 0,
    })
  },
  'ESC -': (m, [n = 0]) => {
    m.style.underline = (n % 48) & 3
  },
  'ESC 2': (m) => {
    m.style.lineSpacing = DEFAULT_STYLE.lineSpacing
  },
  'ESC 3': (m, [n = 30]) => {
    m.style.lineSpacing = n
  },
  'ESC E': (m, [n = 0]) => {
    m.style.bold = (n & 1) === 1
  },
  'ESC G': (m, [n = 0]) => {
    m.style.bold = (n & 1) === 1
  },
  'ESC J': (m, [n = 0]) => feedLine(m, n),
  'ESC M': (m, [n = 0]) => {
    m.style.font = n % 48 === 1 ? 'B' : 'A'
  },
  'ESC a': (m, [n = 0]) => {
    m.style.align = ALIGN[n % 48] ?? 'left'
  },
  'ESC d': (m, [n = 0]) => {
    feedLine(m, m.typesetter.empty ? 0 : m.style.lineSpacing)
    for (let i = m.typesetter.empty ? 0 : 1; i < n; i++) feedLine(m)
  },
  'ESC p': () => {}, // the drawer kick: a handheld has none
  'ESC t': (m, [n = 0]) => {
    if (codePageUpperHalf(n) === undefined) m.refuse(`code page ${n}`)
    else m.codePage = n
  },
  'ESC v': (m) => void m.actions.push({ kind: 'reply', what: 'paperEnd' }),
  'ESC 7': () => {}, // the heat of the head: the machine's paper knows one black
  'FS .': () => {},
  'GS !': (m, [n = 0]) => void Object.assign(m.style, times(n)),
  'GS (': twoDimensional,
  'GS B': (m, [n = 0]) => {
    m.style.inverse = (n & 1) === 1
  },
  'GS H': (m, [n = 0]) => {
    m.barcode.text = ((n % 48) & 3) as 0 | 1 | 2 | 3
  },
  'GS I': (m) => void m.actions.push({ kind: 'reply', what: 'identity' }),
  'GS V': (m) => {
    if (!m.typesetter.empty) feedLine(m)
    m.actions.push({ kind: 'cut' })
  },
  'GS f': () => {},
  'GS h': (m, [n = 162]) => {
    m.barcode.height = Math.max(1, n)
  },
  'GS k': putBarcode,
  'GS r': (m) => void m.actions.push({ kind: 'reply', what: 'paperSensor' }),
  'GS w': (m, [n = 3]) => {
    m.barcode.module = Math.min(6, Math.max(1, n))
  },
}
