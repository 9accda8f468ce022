// Texts: every language says the same things, with the same parameters, in what the font can show.
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadFont } from '../../../hal/base/font/font.js'
import { packageRoot } from '../../../hal/base/package-root.js'
import { createTexts, loadTexts } from '../../../runtime/secure/texts.js'

t.test('all languages have the keys and parameters of English', async (t) => {
  const folder = join(packageRoot, 'runtime/secure/screens/texts')
  const font = loadFont()
  const read = (file: string) =>
    JSON.parse(readFileSync(join(folder, file), 'utf8')) as Record<string, string>
  const english = read('en.json')
  const parameters = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort()
  for (const file of readdirSync(folder)) {
    const messages = read(file)
    t.strictSame(Object.keys(messages).sort(), Object.keys(english).sort(), `${file}: keys`)
    for (const [key, text] of Object.entries(messages)) {
      t.strictSame(parameters(text), parameters(english[key] ?? ''), `${file}: parameters of ${key}`)
      for (const character of text)
        if (!font.has(character.codePointAt(0)!)) t.fail(`${file}: ${key} needs ${character}`)
    }
  }
})

t.test('a language is chosen from a list of wishes, English last', async (t) => {
  const texts = loadTexts()
  t.equal(texts.choose(['xx', 'zh-CN', 'en']), 'zh')
  t.equal(texts.choose(['fr']), 'en')
  t.equal(texts.choose([]), 'en')
})

t.test('parameters are filled in, English stands in, an unknown key is a fault', async (t) => {
  const texts = createTexts({ en: { a: '{n} of {n}, {m}', b: 'only English' }, zh: { a: '共 {n}' } })
  t.equal(texts.text('en', 'a', { n: 3 }), '3 of 3, {m}')
  t.equal(texts.text('zh-CN', 'a', { n: 3 }), '共 3')
  t.equal(texts.text('zh', 'b'), 'only English')
  t.equal(texts.text('fr', 'b'), 'only English')
  t.throws(() => texts.text('en', 'c'), { code: 'TEXT_UNKNOWN' })
})

t.test('catalogues that are not flat texts, or lack English, are refused', async (t) => {
  t.throws(() => createTexts({ zh: {} }), { code: 'TEXTS_INVALID' })
  const folder = mkdtempSync(join(t.testdir(), 'texts-'))
  writeFileSync(join(folder, 'en.json'), '{"a": {"b": "nested"}}')
  t.throws(() => loadTexts(folder), { code: 'TEXTS_INVALID' })
})
