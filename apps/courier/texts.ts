// The app's texts by language, money and dates as the courier's language writes them.
import { readFileSync } from 'node:fs'

export interface MoneyJson {
  readonly minor: string
  readonly currency: string
}

export interface Texts {
  /** The text of `key`, with `{name}` filled in; English where the language lacks it. */
  t(key: string, parameters?: Readonly<Record<string, string | number>>): string
  money(amount: MoneyJson): string
}

type Table = Readonly<Record<string, string>>

/** Reads `i18n/<language>.json` of the app's own folder, which is where it is started. */
export function readTables(languages: readonly string[] = ['en', 'zh']): Readonly<Record<string, Table>> {
  return Object.fromEntries(
    languages.map((language) => [
      language,
      JSON.parse(readFileSync(`i18n/${language}.json`, 'utf8')) as Table,
    ]),
  )
}

/** Texts in one language. */
export function createTexts(tables: Readonly<Record<string, Table>>, locale: string): Texts {
  const own = tables[locale.slice(0, 2)] ?? {}
  const english = tables['en'] ?? {}
  return {
    t(key, parameters = {}) {
      const text = own[key] ?? english[key] ?? key
      return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(parameters[name] ?? whole))
    },
    money({ minor, currency }) {
      const format = new Intl.NumberFormat(locale, { style: 'currency', currency })
      const digits = format.resolvedOptions().maximumFractionDigits ?? 2
      return format.format(Number(minor) / 10 ** digits)
    },
  }
}
