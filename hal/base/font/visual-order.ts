// A line of text as it stands on paper from left to right: Arabic joined, right-to-left scripts turned. UAX #9, L1 to L4.
import bidiFactory from 'bidi-js'
import { joinArabic } from './arabic-forms.js'
import type { Font } from './font.js'

// The package's types speak of its ES module; Node loads the CommonJS one, whose export is the factory itself.
const bidi = (bidiFactory as unknown as typeof bidiFactory.default)()
/** Scripts that run from right to left, with their presentation forms. UAX #9, classes R and AL of plane 0 */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/
/** First strong isolate and its end: they order a line and are not seen. */
const ISOLATES = /[\u2068\u2069]/g
const MARK = /\p{Mn}/u
/** Devanagari's short i is written before the cluster that it follows. Unicode, chapter 12.1 */
const SHORT_I = /((?:[\u0915-\u0939\u0958-\u095f]\u093c?\u094d)*[\u0915-\u0939\u0958-\u095f]\u093c?)\u093f/g

/** True where the paragraph's first strong character runs from right to left; P2 and P3. */
export function runsRightToLeft(text: string): boolean {
  return (
    RIGHT_TO_LEFT.test(text) && (bidi.getEmbeddingLevels(text, 'auto').paragraphs[0]?.level ?? 0) % 2 === 1
  )
}

/** The columns of a font that a line takes once it is shaped: letters that join may be fewer than were written. */
export function measureShaped(font: Pick<Font, 'measure'>, line: string): number {
  return font.measure(joinArabic(line).replace(ISOLATES, ''))
}

/**
 * The line in the order of its places, leftmost first, with marks behind the letter that they stand on.
 * NOTE: levels are resolved line by line: a run that began on the line before is begun again.
 * @example visualOrder('\u05d0\u05d1 12', true) // '12 \u05d1\u05d0'
 */
export function visualOrder(line: string, rightToLeft: boolean): string {
  const shaped = joinArabic(line).replace(SHORT_I, '\u093f$1')
  if (!rightToLeft && !RIGHT_TO_LEFT.test(shaped)) return shaped.replace(ISOLATES, '')
  // The library turns UTF-16 units: what is not in plane 0 has no picture and would be torn.
  const text = shaped.replace(/[\u{10000}-\u{10ffff}]/gu, '\ufffd')
  const levels = bidi.getEmbeddingLevels(text, rightToLeft ? 'rtl' : 'ltr')
  let out = ''
  let marks = ''
  for (const at of bidi.getReorderedIndices(text, levels)) {
    const turned = (levels.levels[at] ?? 0) % 2 === 1
    const character = (turned && bidi.getMirroredCharacter(text[at]!)) || text[at]!
    // L3: turned round, marks come before their letter.
    if (turned && MARK.test(character)) {
      marks = character + marks
      continue
    }
    out += character + marks
    marks = ''
  }
  return (out + marks).replace(ISOLATES, '')
}
