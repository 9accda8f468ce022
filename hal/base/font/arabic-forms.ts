// Arabic letters as their joined shapes: Unicode chapter 9.2 (cursive joining) with the presentation forms A and B.

interface Forms {
  readonly isolated: number
  readonly final?: number
  /** Only letters that join on both sides have these. */
  readonly initial?: number
  readonly medial?: number
}

const BLOCKS: readonly (readonly [number, number])[] = [
  [0xfb50, 0xfbff],
  [0xfe80, 0xfef4],
]

/**
 * Letter to shapes, read from Unicode's own compatibility mappings: the forms of a letter stand together in the order
 * isolated, final, initial, medial. Chapter 24, Arabic Presentation Forms-A (FB50 to FBFF) and -B (FE80 to FEF4)
 */
function readForms(): ReadonlyMap<string, Forms> {
  const found = new Map<string, number[]>()
  for (const [first, last] of BLOCKS) {
    for (let form = first; form <= last; form++) {
      const shape = String.fromCharCode(form)
      const letter = shape.normalize('NFKC')
      // FBE8 and FBE9 are the inner forms of alef maksura, away from its other two.
      if (letter === shape || letter.length > 1 || form === 0xfbe8 || form === 0xfbe9) continue
      found.set(letter, [...(found.get(letter) ?? []), form])
    }
  }
  const forms = new Map<string, Forms>()
  for (const [letter, [isolated, final, initial, medial]] of found) {
    forms.set(letter, {
      isolated: isolated!,
      ...(final === undefined ? {} : { final }),
      ...(initial === undefined || medial === undefined ? {} : { initial, medial }),
    })
  }
  forms.set('\u0649', { isolated: 0xfeef, final: 0xfef0, initial: 0xfbe8, medial: 0xfbe9 })
  return forms
}
const FORMS = readForms()

/** Lam and an alef are one shape: isolated, final. */
const LAM_ALEF: Readonly<Record<string, readonly [number, number]>> = {
  '\u0622': [0xfef5, 0xfef6],
  '\u0623': [0xfef7, 0xfef8],
  '\u0625': [0xfef9, 0xfefa],
  '\u0627': [0xfefb, 0xfefc],
}
const LAM = '\u0644'
const TATWEEL = '\u0640'
const ZWJ = '\u200d'
const JOINERS = /[\u200c\u200d]/g
/** Marks do not break a join. */
const MARK = /\p{Mn}/u

const joinsOn = (character: string | undefined) =>
  character !== undefined &&
  (character === TATWEEL || character === ZWJ || FORMS.get(character)?.initial !== undefined)
const joinsBack = (character: string | undefined) =>
  character !== undefined &&
  (character === TATWEEL || character === ZWJ || FORMS.get(character)?.final !== undefined)

/**
 * The text with each Arabic letter in the shape that its neighbours ask for, in the order of reading; joiners and
 * non-joiners are used up. Other scripts stay as they are.
 * @example joinArabic('\u0628\u0628') // '\ufe91\ufe90'
 */
export function joinArabic(text: string): string {
  if (!/[\u0600-\u06ff]/.test(text)) return text.replace(JOINERS, '')
  const characters = [...text]
  const neighbour = (from: number, step: 1 | -1) => {
    let at = from + step
    while (at >= 0 && at < characters.length && MARK.test(characters[at]!)) at += step
    return at
  }
  let out = ''
  const used = new Set<number>()
  for (const [at, character] of characters.entries()) {
    if (used.has(at) || character === ZWJ || character === '\u200c') continue
    const before = joinsOn(characters[neighbour(at, -1)])
    const next = neighbour(at, 1)
    const ligature = character === LAM ? LAM_ALEF[characters[next] ?? ''] : undefined
    if (ligature !== undefined) {
      used.add(next)
      out += String.fromCharCode(ligature[before ? 1 : 0])
      continue
    }
    const forms = FORMS.get(character)
    const after = forms?.initial !== undefined && joinsBack(characters[next])
    const shape =
      forms === undefined
        ? undefined
        : before && forms.final !== undefined
          ? after
            ? forms.medial
            : forms.final
          : after
            ? forms.initial
            : forms.isolated
    out += shape === undefined ? character : String.fromCharCode(shape)
  }
  return out
}
