// The sentences of the payment service: a message table per language, English where a language lacks one.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../../hal/base/package-root.js'

/** A text table: `{name}` in a text is replaced by that parameter. */
export interface Texts {
  /** The text of `key` in the language of `locale` (`zh`, `zh-CN`). */
  text(key: string, locale: string, params?: Readonly<Record<string, string | number>>): string
  has(key: string): boolean
  /** Is there a table in that language? */
  speaks(locale: string): boolean
}

type Table = Readonly<Record<string, string>>

/** Puts tables of one or more languages together; `en` must be complete. */
export function createTexts(tables: Readonly<Record<string, Table>>): Texts {
  const english = tables['en'] ?? {}
  return {
    has: (key) => Object.hasOwn(english, key),
    speaks: (locale) => Object.hasOwn(tables, locale.slice(0, 2)),
    text(key, locale, params = {}) {
      const table = tables[locale.slice(0, 2)] ?? english
      const text = Object.hasOwn(table, key) ? table[key]! : (english[key] ?? key)
      return text.replace(/\{([a-zA-Z]+)\}/g, (whole, name: string) =>
        Object.hasOwn(params, name) ? String(params[name]) : whole,
      )
    },
  }
}

/** Reads this room's own tables, `texts/<language>.json`. */
export function loadPaymentTexts(languages: readonly string[] = ['en', 'zh']): Texts {
  const folder = join(packageRoot, 'runtime/secure/payments/texts')
  return createTexts(
    Object.fromEntries(
      languages.map((language) => [
        language,
        JSON.parse(readFileSync(join(folder, `${language}.json`), 'utf8')) as Table,
      ]),
    ),
  )
}
