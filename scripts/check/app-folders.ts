// App folders: each is whole (manifest, code, README, texts in every language with the same keys and parameters).
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../hal/base/package-root.js'

const LANGUAGES = ['en', 'zh'] as const

function parameters(text: string): string {
  return [...text.matchAll(/\{(\w+)\}/g)]
    .map((match) => match[1])
    .sort()
    .join(',')
}

/** Compares the texts of one folder of message files: same keys, same parameters, nothing empty. */
export function checkTexts(folder: string): string[] {
  const faults: string[] = []
  const read = (language: string): Record<string, string> =>
    JSON.parse(readFileSync(join(folder, `${language}.json`), 'utf8'))
  const [first, ...others] = LANGUAGES
  if (!LANGUAGES.every((language) => existsSync(join(folder, `${language}.json`)))) {
    return [`${folder}: needs ${LANGUAGES.map((language) => `${language}.json`).join(' and ')}`]
  }
  const base = read(first)
  for (const language of others) {
    const texts = read(language)
    for (const key of new Set([...Object.keys(base), ...Object.keys(texts)])) {
      if (base[key] === undefined) faults.push(`${folder}/${first}.json lacks ${key}`)
      else if (texts[key] === undefined) faults.push(`${folder}/${language}.json lacks ${key}`)
      else if (texts[key] === '') faults.push(`${folder}/${language}.json: ${key} is empty`)
      else if (parameters(base[key]) !== parameters(texts[key]))
        faults.push(`${folder}: ${key} has other parameters in ${language}`)
    }
  }
  return faults
}

/** Faults in words, for every folder under apps/ and every other folder of message files. */
export function checkAppFolders(root = packageRoot): string[] {
  const faults: string[] = []
  const apps = join(root, 'apps')
  const folders = existsSync(apps)
    ? readdirSync(apps, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    : []
  for (const { name } of folders) {
    const folder = join(apps, name)
    for (const needed of ['manifest.json', 'main.ts', 'README.md', 'icon.svg', 'i18n/en.json']) {
      if (!existsSync(join(folder, needed))) faults.push(`apps/${name}: ${needed} is missing`)
    }
    if (existsSync(join(folder, 'i18n'))) faults.push(...checkTexts(join(folder, 'i18n')))
  }
  for (const texts of [
    'runtime/secure/screens/texts',
    'runtime/secure/payments/texts',
    'runtime/open/receipts/texts',
    'runtime/open/app-host/texts',
  ]) {
    if (existsSync(join(root, texts))) faults.push(...checkTexts(join(root, texts)))
  }
  return faults
}
