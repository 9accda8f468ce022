// What an app may not ask for where keys are taken: PIN, card number, security code. Words per language, seen through
// look-alikes. It stops the careless and the lazy; the lock, the light and the frozen apps are what holds.
import { PosternError } from '../../../hal/base/errors.js'
import type { Screen } from '../../api/screens.js'

/** Words and phrases in lower case, without accents, by language. All languages apply: a prompt may be in any. */
export const FORBIDDEN_PROMPTS: Readonly<Record<string, readonly string[]>> = {
  en: [
    'pin',
    'pin code',
    'pincode',
    'pin number',
    'passcode',
    'cvv',
    'cvv2',
    'cvc',
    'cvc2',
    'security code',
    'card number',
    'card no',
  ],
  zh: ['密码', '密碼', '卡号', '卡號', '安全码', '安全碼', '卡有效期', '卡片有效期'],
  de: ['geheimzahl', 'geheimnummer', 'kartennummer', 'kartenprufnummer'],
  fr: ['code secret', 'code confidentiel', 'numero de carte', 'cryptogramme visuel'],
  es: ['clave secreta', 'numero de tarjeta', 'codigo de seguridad'],
  it: ['codice segreto', 'numero di carta', 'numero della carta'],
  pt: ['senha', 'numero do cartao', 'codigo de seguranca'],
  nl: ['pincode', 'kaartnummer'],
  pl: ['kod pin', 'numer karty'],
  tr: ['sifre', 'kart numarasi'],
  ru: ['пин', 'пин-код', 'пинкод', 'номер карты', 'код безопасности'],
  ja: ['暗証番号', 'カード番号'],
  ko: ['비밀번호', '카드번호', '카드 번호'],
}

/** Letters of other scripts and digits that pass for Latin ones (a small part of Unicode TR39's table). */
const LOOK_ALIKES: Readonly<Record<string, string>> = {
  а: 'a',
  в: 'b',
  е: 'e',
  і: 'i',
  ӏ: 'i',
  ј: 'j',
  к: 'k',
  м: 'm',
  н: 'h',
  о: 'o',
  р: 'p',
  с: 'c',
  ѕ: 's',
  т: 't',
  у: 'y',
  х: 'x',
  ԛ: 'q',
  ԝ: 'w',
  п: 'n',
  α: 'a',
  β: 'b',
  ε: 'e',
  ι: 'i',
  κ: 'k',
  ν: 'n',
  η: 'n',
  ο: 'o',
  ρ: 'p',
  τ: 't',
  υ: 'u',
  χ: 'x',
  γ: 'y',
  ı: 'i',
  ɪ: 'i',
  ɴ: 'n',
  ᴘ: 'p',
  ø: 'o',
  ł: 'l',
  '1': 'i',
  '|': 'i',
  '!': 'i',
  '0': 'o',
  '3': 'e',
  '5': 's',
  $: 's',
  '@': 'a',
}

/** One form of a text for comparing: compatibility forms and accents gone, lower case, single letters joined. */
function plain(text: string): string {
  return text
    .normalize('NFKD')
    .toLowerCase()
    .normalize('NFKD')
    .replace(/[\p{M}\p{Cf}\p{Cc}]/gu, '')
    .normalize('NFC')
    .replace(/(?<![\p{L}\p{N}])[\p{L}\p{N}](?:[\s._*·•/-]+[\p{L}\p{N}](?![\p{L}\p{N}]))+/gu, (run) =>
      run.replace(/[^\p{L}\p{N}]/gu, ''),
    )
    .replace(/\s+/g, ' ')
}

const skeleton = (text: string) =>
  plain([...plain(text)].map((character) => LOOK_ALIKES[character] ?? character).join(''))

const isIdeographic = (word: string) => /[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]/.test(word)
const WORDS = Object.values(FORBIDDEN_PROMPTS).flat()
const PATTERN = new RegExp(
  [
    `(?<![\\p{L}\\p{N}])(?:${WORDS.filter((word) => !isIdeographic(word)).join('|')})(?![\\p{L}\\p{N}])`,
    ...WORDS.filter(isIdeographic).map((word) => [...word.replaceAll(' ', '')].join('\\s*')),
  ].join('|'),
  'u',
)
/** Choices are data, and people may be called Pin: there only a demand counts. */
const DEMAND =
  /\b(?:enter|type|input|key in|your|eingeben|ihre|saisissez|votre|introduzca|digite)\b|输入|請輸入|入力|입력|введите|ваш/u

/** The forbidden word that a prompt contains, or undefined. */
export function forbiddenWord(text: string): string | undefined {
  return PATTERN.exec(plain(text))?.[0] ?? PATTERN.exec(skeleton(text))?.[0]
}

/** The texts by which a screen asks for something, with their path. */
function promptsOf(screen: Screen): (readonly [path: string, text: string])[] {
  const asking: (readonly [string, string | undefined])[] = [['/title', screen.title]]
  const choices = (items: readonly { readonly label: string; readonly detail?: string }[]) =>
    items.forEach((item, i) => {
      const text = `${item.label} ${item.detail ?? ''}`
      if (DEMAND.test(plain(text))) asking.push([`/items/${i}`, text])
    })
  switch (screen.kind) {
    case 'form':
      for (const [i, field] of screen.fields.entries()) asking.push([`/fields/${i}/label`, field.label])
      break
    case 'amount':
      asking.push(['/text', screen.text])
      break
    case 'menu':
      asking.push(['/text', screen.text])
      choices(screen.items)
      break
    case 'list':
      asking.push(['/empty', screen.empty])
      choices(screen.items)
      break
    case 'details':
      choices(screen.items)
      screen.rows.forEach((row, i) => {
        const text = `${row.label} ${row.value}`
        if (DEMAND.test(plain(text))) asking.push([`/rows/${i}`, text])
      })
      break
    case 'message':
    case 'confirm':
    case 'progress':
    case 'qr':
    case 'receipt':
      // No digit that is pressed here reaches the app.
      return []
  }
  for (const [i, key] of (screen.softKeys ?? []).entries()) asking.push([`/softKeys/${i}/label`, key.label])
  return asking.filter((entry): entry is readonly [string, string] => entry[1] !== undefined)
}

/**
 * Refuses an app's screen that takes keys and asks for what only the secure world may ask for. Digits choose rows in
 * lists and menus, so these are checked like forms.
 * @throws PosternError `PROMPT_FORBIDDEN` with the path of the text and the word found in it
 */
export function guardPrompts(screen: Screen): void {
  for (const [path, text] of promptsOf(screen)) {
    const word = forbiddenWord(text)
    if (word !== undefined)
      throw new PosternError('PROMPT_FORBIDDEN', `${path} asks for "${word}": only the terminal itself may`, {
        path,
        word,
      })
  }
}
