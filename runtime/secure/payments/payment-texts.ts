// The sentences of the payment service: a message table per language, English where a language lacks one.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PosternError } from '../../../hal/base/errors.js'
import { packageRoot } from '../../../hal/base/package-root.js'

/** Texts by language and key; `{name}` in a text is replaced by that parameter. */
export interface Texts {
  /** Two-letter codes that have texts of their own. */
  readonly languages: readonly string[]
  /** In a language (`zh`, `zh-CN`), English where it is lacking. @throws PosternError `TEXT_UNKNOWN` */
  text(language: string, key: string, parameters?: Readonly<Record<string, string | number>>): string
}

type Table = Readonly<Record<string, string>>

/** Texts from tables in memory; `en` must be complete. */
export function createTexts(tables: Readonly<Record<string, Table>>): Texts {
  const english = tables['en'] ?? {}
  return {
    languages: Object.keys(tables),
    text(language, key, parameters = {}) {
      const text = tables[language.slice(0, 2)]?.[key] ?? english[key]
      if (text === undefined) throw new PosternError('TEXT_UNKNOWN', `no text for ${key}`, { key })
      return text.replace(/\{(\w+)\}/g, (whole, name: string) =>
        Object.hasOwn(parameters, name) ? String(parameters[name]) : whole,
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
