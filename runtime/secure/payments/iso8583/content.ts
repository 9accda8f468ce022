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

/** Refuses characters that the type does not have. */
export function checkContent(type: Exclude<ContentType, 'b'>, text: string, path: string): void {
  const allowed = ALLOWED[type]
  let first = 0
  if (type === 'x+n') {
    if (text[0] !== 'C' && text[0] !== 'D') throw fieldError(path, 'must begin with C or D')
    first = 1
  }
  for (let i = first; i < text.length; i++) {
    if (((CLASSES[text.charCodeAt(i)] ?? 0) & allowed) === 0) {
      throw fieldError(path, `holds a character that type ${type} does not have`, { at: i })
    }
  }
}
