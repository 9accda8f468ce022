// A whole payment with a card of the deck through the terminal's kernel, at whatever reader it is given.
import { ascii } from '../../hal/base/bytes.js'
import { systemClock, systemRandom } from '../../hal/base/clock.js'
import { PosternError } from '../../hal/base/errors.js'
import { silentLog } from '../../hal/base/log.js'
import { money } from '../../hal/base/money.js'
import type { ChipCardReader } from '../../hal/chip-card-reader.js'
import type { CardPrompts, FinalOutcome } from '../../runtime/secure/card-transaction.js'
import { emvConfiguration } from '../../runtime/secure/emv/configuration.js'
import { contactCardTransactions } from '../../runtime/secure/emv/contact-card-transaction.js'
import type { CardKeys } from '../../runtime/secure/keys/terminal-keys.js'
import { emvTables } from '../../scripts/dev/factory/documents.js'
import { createIssuerHost } from '../../scripts/dev/issuer/issuer-host.js'
import { ensureIssuerKeys } from '../../scripts/dev/issuer/issuer-keys.js'

/** Keys that leave everything clear, so that the test can play the acquirer. */
const clearKeys: CardKeys = {
  encryptCardData: async (clear) => ({ ksn: new Uint8Array(12), bytes: clear.slice() }),
  encryptPin: async (pin) => ({ ksn: new Uint8Array(12), bytes: pin.slice() }),
  cardToken: async () => '00'.repeat(32),
}

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const end = () => reject(new PosternError('ABORTED', 'cancelled'))
    if (signal.aborted) end()
    signal.addEventListener('abort', end, { once: true })
  })

/** People who type the PIN whenever they are asked, and take the card when they are told to. */
function people(pin: string, takeCard: () => void): CardPrompts {
  return {
    presentCard: (_amount, signal) => untilAborted(signal),
    cardUnreadable: (signal) => untilAborted(signal),
    useStripe: (_amount, _again, signal) => untilAborted(signal),
    useChip: (_amount, signal) => untilAborted(signal),
    chooseApplication: async () => 0,
    confirmApplication: async () => true,
    enterPin: async () => ({ kind: 'entered', digits: ascii.encode(pin) }),
    preferLanguages: () => undefined,
    busy: () => undefined,
    removeCard: takeCard,
  }
}

/** Pays 12.50 EUR; the issuer of `keysDir` answers for the card. `takeCard` pulls it when the terminal says so. */
export async function payWithCard(
  reader: ChipCardReader,
  given: { readonly keysDir: string; readonly pin: string; readonly takeCard: () => void },
): Promise<FinalOutcome | { readonly kind: string }> {
  const keys = ensureIssuerKeys(given.keysDir)
  const transaction = contactCardTransactions({
    reader,
    keys: clearKeys,
    configuration: () => emvConfiguration(emvTables(keys)),
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  })(people(given.pin, given.takeCard), {
    lastAmount: async () => undefined,
    onExceptionFile: async () => false,
  })
  const { signal } = new AbortController()
  const request = { type: 'sale', sequence: 1, at: new Date(), locale: 'en' } as const
  const start = await transaction.start({ ...request, amount: money(1250, 'EUR') }, signal)
  if (start.kind !== 'online') {
    await transaction.finish({ approved: false })
    return start
  }
  const { authorisation } = start
  const track2 = authorisation.cardData.bytes
  const decision = createIssuerHost({ keysDir: given.keysDir }).authorise({
    pan: Buffer.from(track2).toString('hex').split('d')[0]!,
    panSequence: authorisation.facts.panSequence ?? '00',
    track2,
    pin: authorisation.pinBlock?.bytes,
    de55: authorisation.de55,
    amountMinor: 1250n,
    currencyNumeric: '978',
  })
  const final = await transaction.hostAnswer(
    {
      kind: 'answered',
      responseCode: decision.responseCode,
      approved: decision.responseCode === '00',
      issuerAuthenticationData: decision.issuerAuthenticationData,
      scripts: decision.scripts,
    },
    signal,
  )
  await transaction.finish({ approved: final.kind === 'approved' })
  return final
}
