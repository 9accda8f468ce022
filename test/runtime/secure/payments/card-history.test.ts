// What the payment service tells the kernel of a card: its latest standing amount in the round, and the exception file.
import t from 'tap'
import { money } from '../../../../hal/base/money.js'
import type { CardTransactionFactory } from '../../../../runtime/secure/card-transaction.js'
import {
  authorisation,
  finalApproved,
  OWNER,
  powerUntil,
  request,
  scriptedCards,
  startTerminal,
  TestHost,
} from './support.js'

t.test('split sales and exception file through the payment service', async (t) => {
  const token = authorisation().cardToken
  const told: unknown[] = []
  let cardSaysYes = true
  const scripted = scriptedCards(
    {
      final: () => (cardSaysYes ? finalApproved() : { ...finalApproved(), kind: 'ended', reason: 'removed' }),
    },
    powerUntil(0),
    [],
  )
  const cards: CardTransactionFactory = (prompts, history) => {
    const transaction = scripted(prompts, history)
    return {
      ...transaction,
      async start(asked, signal) {
        told.push(await history.lastAmount(token), await history.lastAmount('another card'))
        told.push(await history.onExceptionFile(token), await history.onExceptionFile('another card'))
        return transaction.start(asked, signal)
      },
    }
  }
  const terminal = startTerminal({
    folder: t.testdir(),
    host: new TestHost(),
    cards,
    exceptionFile: (cardToken) => cardToken === token,
  })
  const ask = async (key: string, minor: string) => {
    told.length = 0
    await terminal.service.collect(request(key, minor), OWNER)
    return [...told]
  }
  t.same(await ask('key-0001', '1000'), [undefined, undefined, true, false], 'nothing is stored yet')
  t.same((await ask('key-0002', '2500'))[0], money(1000, 'EUR'))
  cardSaysYes = false
  t.same((await ask('key-0003', '700'))[0], money(2500, 'EUR'), 'the latest one')
  t.same((await ask('key-0004', '1'))[0], money(2500, 'EUR'), 'what was taken back does not count')
  await terminal.close()
})
