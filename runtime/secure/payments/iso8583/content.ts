// What a field may hold: the character classes of ISO 8583:1987, 4.2.1.
import { fieldError } from './wire.js'

/** What a field may hold (ISO 8583:1987, 4.2): `x+n` is a sign `C` or `D` and digits, `any` any Latin-1 text. */
export type ContentType = 'n' | 'a' | 'an' | 'ans' | 'z' | 'x+n' | 'any' | 'b'

const LETTER = 1
const DIGIT = 2
const SPACE = 4
const SPECIAL = 8
const TRACK = 16
const OTHER = 32

/** Character classes of ISO 8583:1987, 4.2.1, for every Latin-1 code. */
const CLASSES: Uint8Array = (() => {
  const classes = new Uint8Array(256).fill(OTHER)
  for (let code = 0x20; code < 0x7f; code++) {
    const character = String.fromCharCode(code)
    if (/[A-Za-z]/.test(character)) classes[code] = LETTER
    else if (/[0-9]/.test(character)) classes[code] = DIGIT
    else classes[code] = code === 0x20 ? SPACE : SPECIAL
    if (/[=D^]/.test(character)) classes[code]! |= TRACK
  }
  return classes
})()

const ALLOWED: Readonly<Record<Exclude<ContentType, 'b'>, number>> = {
  n: DIGIT,
  a: LETTER | SPACE,
  an: LETTER | DIGIT | SPACE,
  ans: LETTER | DIGIT | SPACE | SPECIAL,
  z: DIGIT | TRACK,
  'x+n': DIGIT,
  any: LETTER | DIGIT | SPACE | SPECIAL | OTHER,
}

type Text = Exclude<ContentType, 'b'>

const refused = (type: Text, at: number, path: string) =>
  fieldError(path, `holds a character that type ${type} does not have`, { at })

/** A sign has no place but at the beginning of `x+n`; what follows it is content. */
function afterSign(type: Text, code: number, path: string): number {
  if (type !== 'x+n') return 0
  if (code !== 0x43 && code !== 0x44) throw fieldError(path, 'must begin with C or D')
  return 1
}

/** Refuses characters that the type does not have. */
export function checkContent(type: Text, text: string, path: string): void {
  const allowed = ALLOWED[type]
  for (let i = afterSign(type, text.charCodeAt(0), path); i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0xff || (CLASSES[code]! & allowed) === 0) throw refused(type, i, path)
  }
}

/** Writes text as Latin-1 codes to `bytes` from `start`, checked on the way. */
export function putContent(type: Text, text: string, bytes: Uint8Array, start: number, path: string): void {
  const allowed = ALLOWED[type]
  const signed = afterSign(type, text.charCodeAt(0), path)
  if (signed === 1) bytes[start] = text.charCodeAt(0)
  for (let i = signed; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0xff || (CLASSES[code]! & allowed) === 0) throw refused(type, i, path)
    bytes[start + i] = code
  }
}

/** The same of `units` bytes, each the Latin-1 code of a character. */
export function checkCodes(type: Text, codes: Uint8Array, start: number, units: number, path: string): void {
  const allowed = ALLOWED[type]
  for (let i = afterSign(type, codes[start] ?? 0, path); i < units; i++)
    if ((CLASSES[codes[start + i]!]! & allowed) === 0) throw refused(type, i, path)
}
