// Texts of the secure world by key and language: flat JSON files, `{name}` for what is filled in.
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { PosternError } from '../../hal/base/errors.js'
import { packageRoot } from '../../hal/base/package-root.js'

/** Key to text, of one language. */
export type Messages = Readonly<Record<string, string>>

export interface Texts {
  /** Two-letter codes that have texts of their own. */
  readonly languages: readonly string[]
  /** The first language of a preference list that has texts, else English. */
  choose(preferred: readonly string[]): string
  /**
   * The text of `key` in a language (`zh`, `zh-CN`; English where it is lacking), with `{name}` filled in.
   * @throws PosternError `TEXT_UNKNOWN` for a key that even English lacks
   */
  text(language: string, key: string, parameters?: Readonly<Record<string, string | number>>): string
}

const FALLBACK = 'en'

/**
 * Reads every `<language>.json` of a folder.
 * @throws PosternError `TEXTS_INVALID` when English is missing or a file is not a flat object of strings
 */
export function loadTexts(folder = join(packageRoot, 'runtime/secure/screens/texts')): Texts {
  const catalogue: Record<string, Messages> = {}
  for (const file of readdirSync(folder).filter((name) => /^[a-z]{2}\.json$/.test(name))) {
    const messages: unknown = JSON.parse(readFileSync(join(folder, file), 'utf8'))
    if (!isMessages(messages))
      throw new PosternError('TEXTS_INVALID', 'not a flat object of strings', { file })
    catalogue[basename(file, '.json')] = messages
  }
  return createTexts(catalogue)
}

function isMessages(value: unknown): value is Messages {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((text) => typeof text === 'string')
  )
}

/** Texts from catalogues in memory. @throws PosternError `TEXTS_INVALID` without English */
export function createTexts(catalogue: Readonly<Record<string, Messages>>): Texts {
  const english = catalogue[FALLBACK]
  if (english === undefined) throw new PosternError('TEXTS_INVALID', 'no English texts')
  const languages = Object.keys(catalogue).sort()
  return {
    languages,
    choose: (preferred) =>
      preferred.map((code) => code.slice(0, 2).toLowerCase()).find((code) => languages.includes(code)) ??
      FALLBACK,
    text(language, key, parameters = {}) {
      const template = catalogue[language.slice(0, 2)]?.[key] ?? english[key]
      if (template === undefined) throw new PosternError('TEXT_UNKNOWN', `no text for ${key}`, { key })
      return template.replace(/\{(\w+)\}/g, (whole, name: string) =>
        Object.hasOwn(parameters, name) ? String(parameters[name]) : whole,
      )
    },
  }
}
