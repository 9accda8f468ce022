// The app's texts by language, and money as the courier's language writes it.
import { readFileSync } from 'node:fs'

export interface MoneyJson {
  readonly minor: string
  readonly currency: string
}

export interface Texts {
  /** The text of `key`, with `{name}` filled in; English where the language lacks it. */
  t(key: string, parameters?: Readonly<Record<string, string | number>>): string
  /** Whether there is such a text. */
  has(key: string): boolean
  money(amount: MoneyJson): string
}

type Table = Readonly<Record<string, string>>
export type Tables = Readonly<Record<string, Table>>

/** Reads `<language>.json` of the app's own message files; the app is started in its folder. */
export function readTables(folder = 'i18n', languages: readonly string[] = ['en', 'zh']): Tables {
  return Object.fromEntries(
    languages.map((language) => [
      language,
      JSON.parse(readFileSync(`${folder}/${language}.json`, 'utf8')) as Table,
    ]),
  )
}

/** Texts in one language. */
export function createTexts(tables: Tables, locale: string): Texts {
  const own = tables[locale.slice(0, 2)] ?? {}
  const english = tables['en'] ?? {}
  return {
    t(key, parameters = {}) {
      const text = own[key] ?? english[key] ?? key
      return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(parameters[name] ?? whole))
    },
    has: (key) => own[key] !== undefined || english[key] !== undefined,
    money({ minor, currency }) {
      const format = new Intl.NumberFormat(locale, { style: 'currency', currency })
      const digits = format.resolvedOptions().maximumFractionDigits ?? 2
      return format.format(Number(minor) / 10 ** digits)
    },
  }
}

/** At most `length` UTF-16 units, never half a character: what the host's bounds take. */
export function clip(text: string, length: number): string {
  return text.slice(0, length).replace(/[\uD800-\uDBFF]$/, '')
}

/** A long text in pieces of at most `length`, none lost. */
export function pieces(text: string, length: number): string[] {
  const found: string[] = []
  for (let rest = text; rest !== ''; ) {
    const head = clip(rest, length)
    const blank = head.length < rest.length ? head.lastIndexOf(' ') : -1
    const piece = blank > length / 2 ? head.slice(0, blank) : head
    found.push(piece)
    rest = rest.slice(piece.length).trimStart()
  }
  return found
}
