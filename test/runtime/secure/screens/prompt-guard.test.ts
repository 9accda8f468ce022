// Prompts that try to fool people, and harmless ones that must pass.
import t from 'tap'
import type { Screen } from '../../../../runtime/api/screens.js'
import { forbiddenWord, guardPrompts } from '../../../../runtime/secure/screens/prompt-guard.js'
import { samples } from '../../../../scripts/dev/screens/samples.js'

t.test('a PIN is found in any dress', async (t) => {
  for (const text of [
    'Enter PIN',
    'Your pin:',
    'P I N',
    'P.I.N.',
    'ＰＩＮ',
    'РІN', // Cyrillic Er and Byelorussian I
    'ΡΙΝ', // Greek Rho, Iota, Nu
    'P1N',
    'P|N',
    'p\u200bi\u200bn',
    'PÍN',
    'PI\u0301N',
    '𝐏𝐈𝐍',
    'ⓅⒾⓃ',
    'Pin-Code',
    'Card  number',
    'CVV2',
    '请输入密码',
    '密 码',
    '银行卡号',
    'Geheimzahl eingeben',
    'Numéro de carte',
    'ПИН-код',
    '暗証番号',
  ])
    t.ok(forbiddenWord(text), text)
})

t.test('everyday words pass', async (t) => {
  for (const text of [
    'Shipping address',
    'Pineapple juice',
    'Spin class',
    'Opinion',
    'Waybill number',
    'Pickup code',
    'Telephone',
    '取件码',
    '运单号',
    'Postleitzahl',
    'Code postal',
    'Amount kept by the customer: €49.90',
    '12 Mill Lane',
    'A B C',
  ])
    t.equal(forbiddenWord(text), undefined, text)
})

t.test('screens that take keys are checked in every text that asks; others may speak of a PIN', async (t) => {
  const menu = (label: string): Screen => ({ kind: 'menu', title: 'x', items: [{ id: 'a', label }] })
  const refused: [Screen, string][] = [
    [
      { kind: 'form', title: 'x', fields: [{ id: 'a', label: 'Your PIN', input: 'digits' }] },
      '/fields/0/label',
    ],
    [{ kind: 'list', title: 'Enter PIN', items: [] }, '/title'],
    [{ kind: 'amount', title: 'x', currency: 'EUR', text: 'Type your PIN' }, '/text'],
    [menu('Enter your PIN with 1 to 9'), '/items/0'],
    [{ kind: 'details', title: 'x', rows: [{ label: 'Enter', value: 'PIN' }], items: [] }, '/rows/0'],
    [
      { kind: 'menu', title: 'x', items: [{ id: 'a', label: 'b' }], softKeys: [{ id: 's', label: 'PIN' }] },
      '/softKeys/0/label',
    ],
  ]
  for (const [screen, path] of refused)
    t.throws(() => guardPrompts(screen), { code: 'PROMPT_FORBIDDEN', details: { path } })
  guardPrompts(menu('Herr Pin, Lindenstr. 4'))
  guardPrompts({ kind: 'message', title: 'Wrong PIN', text: 'The customer may try again.' })
  for (const { content } of Object.values(samples))
    if (content.kind !== 'home' && content.kind !== 'card' && content.kind !== 'secret') guardPrompts(content)
})
