// Fuzz target: PAN digits and track 2 equivalent data out of what a card says.
import { ascii, toHex } from '../../hal/base/bytes.js'
import { TAG } from '../../hal/base/tags.js'
import { panDigits, TransactionData, track2Equivalent } from '../../runtime/secure/emv/transaction-data.js'
import { choicesOf } from './support/choices.js'

export const target = {
  name: 'PAN and track 2',
  run(bytes: Uint8Array): string {
    const choices = choicesOf(bytes)
    const data = new TransactionData()
    const pan = choices.bytes(choices.below(12))
    data.addFromCard(TAG.PAN, pan)
    for (const tag of [TAG.EXPIRATION_DATE, TAG.SERVICE_CODE, TAG.TRACK2])
      if (choices.below(2) === 0) data.addFromCard(tag, choices.bytes(choices.below(24)))
    const digits = panDigits(pan)
    const text = /^([0-9]*)F*$/.exec(toHex(pan))?.[1]
    if ((digits && ascii.decode(digits)) !== text) throw new Error(`PAN ${toHex(pan)}`)
    const given = data.card(TAG.TRACK2)
    const track2 = toHex(track2Equivalent(data))
    if (given && given.length > 0) {
      if (track2 !== toHex(given)) throw new Error('another track 2 than the card gave')
      return 'given'
    }
    // Digits, separator, YYMM, service code, and padding to a whole byte.
    if (!/^[0-9A-F]*D[0-9A-F]{7}F?$/.test(track2)) throw new Error(`track 2 ${track2}`)
    if (text !== undefined && !track2.startsWith(`${text}D`)) throw new Error(`${track2} for ${text}`)
    return text === undefined ? 'no PAN' : 'made'
  },
}
