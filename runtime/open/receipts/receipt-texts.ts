// The words of a receipt by language, from texts/*.json; what a language lacks is said in English.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PosternError } from '../../../hal/base/errors.js'
import { packageRoot } from '../../../hal/base/package-root.js'

/** Says one text of one locale (`zh-CN` is served by `zh`). */
export type ReceiptTexts = (locale: string, key: string) => string

const FOLDER = join(packageRoot, 'runtime/open/receipts/texts')

/** Reads every language there is. @throws PosternError `TEXTS_INVALID` when English is missing or a file is broken */
export function loadReceiptTexts(folder = FOLDER): ReceiptTexts {
  const languages = new Map<string, Readonly<Record<string, string>>>()
  try {
    for (const file of readdirSync(folder)) {
      if (file.endsWith('.json'))
        languages.set(file.slice(0, -5), JSON.parse(readFileSync(join(folder, file), 'utf8')))
    }
  } catch (cause) {
    throw new PosternError('TEXTS_INVALID', 'the receipt texts can not be read', { folder }, cause)
  }
  const english = languages.get('en')
  if (english === undefined) throw new PosternError('TEXTS_INVALID', 'no English receipt texts', { folder })
  return (locale, key) =>
    languages.get(locale)?.[key] ?? languages.get(locale.split('-')[0]!)?.[key] ?? english[key] ?? key
}
