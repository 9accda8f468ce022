// Terminal risk management: floor limit, random selection, velocity, exception file (EMV Book 3 v4.4, 10.6).
import type { Random } from '../../../hal/base/clock.js'
import { TAG } from '../../../hal/base/tags.js'
import { findTlv } from '../../../hal/base/tlv.js'
import { type CardEnd, cardError, isEnd } from './card-end.js'
import { tryParseTlv } from './card-tlv.js'
import { getData, SW } from './commands.js'
import { fromUint, type TransactionData } from './transaction-data.js'
import type { CardChannel } from './transport.js'

export interface RiskConfiguration {
  /** 9F1B in minor units. */
  readonly floorLimit: bigint
  readonly randomSelection:
    | {
        readonly targetPercent: number
        readonly maximumTargetPercent: number
        readonly threshold: bigint
      }
    | undefined
}

export interface RiskServices {
  readonly random: Random
  /** Amount of the latest stored transaction with this PAN, against split sales (10.6.1); 0n where none is known. */
  readonly lastAmountOfCard: bigint
  /** The card stands on the terminal's exception file (Book 4, 6.3.5). */
  readonly onExceptionFile: boolean
  /** The merchant wants the issuer asked (Book 4, 6.5.3, attended terminals). */
  readonly forceOnline: boolean
}

/**
 * Sets TVR byte 4, New card and the TSI. Only a card that breaks off or answers rubbish ends anything here.
 * NOTE: performed whatever the AIP's bit 4 says; 10.6 asks for it where the bit is set and allows it where it is not.
 */
export async function terminalRiskManagement(
  card: CardChannel,
  data: TransactionData,
  amount: bigint,
  configuration: RiskConfiguration,
  services: RiskServices,
): Promise<CardEnd | undefined> {
  if (services.onExceptionFile) data.raise('onExceptionFile')
  if (services.forceOnline) data.raise('merchantForcedOnline')
  checkFloorLimit(data, amount, configuration, services)
  const end = await checkVelocity(card, data)
  if (end) return end
  data.performed('terminalRiskManagementPerformed')
  return undefined
}

/** 10.6.1 and 10.6.2: at or above the limit, or below it by the throw of a die. */
function checkFloorLimit(
  data: TransactionData,
  amount: bigint,
  { floorLimit, randomSelection }: RiskConfiguration,
  services: RiskServices,
): void {
  if (amount + services.lastAmountOfCard >= floorLimit) {
    data.raise('floorLimitExceeded')
    return
  }
  if (!randomSelection) return
  const percent = selectionPercent(amount, floorLimit, randomSelection)
  if (uniformPercent(services.random) <= percent) data.raise('randomlySelected')
}

/** 10.6.2: the target below the threshold; from there it grows in a line to the maximum at the floor limit. */
export function selectionPercent(
  amount: bigint,
  floorLimit: bigint,
  { targetPercent, maximumTargetPercent, threshold }: NonNullable<RiskConfiguration['randomSelection']>,
): number {
  if (amount < threshold) return targetPercent
  const factor = Number(amount - threshold) / Number(floorLimit - threshold)
  return targetPercent + (maximumTargetPercent - targetPercent) * factor
}

/** 1 to 99, evenly (10.6.2): bytes that would favour the low numbers are thrown away. */
function uniformPercent(random: Random): number {
  for (let attempt = 0; attempt < 32; attempt++) {
    const byte = random(1)[0]!
    if (byte < 198) return (byte % 99) + 1
  }
  // Thirty-two refusals in a row: a broken generator. Selecting is the safe side.
  return 0
}

/** 10.6.3: consecutive offline transactions against 9F14 and 9F23. */
async function checkVelocity(card: CardChannel, data: TransactionData): Promise<CardEnd | undefined> {
  const lower = data.card(TAG.LOWER_OFFLINE_LIMIT)
  const upper = data.card(TAG.UPPER_OFFLINE_LIMIT)
  if (lower?.length !== 1 || upper?.length !== 1) return undefined
  const atc = await counter(card, data, TAG.ATC)
  if (isEnd(atc)) return atc
  const lastOnline = await counter(card, data, TAG.LAST_ONLINE_ATC)
  if (isEnd(lastOnline)) return lastOnline
  if (lastOnline?.value === 0) data.raise('newCard')
  if (!atc || !lastOnline || atc.value <= lastOnline.value) {
    // Not retrievable, or not later than the last online one: both limits count as exceeded.
    data.raise('lowerLimitExceeded')
    data.raise('upperLimitExceeded')
    return undefined
  }
  const offline = atc.value - lastOnline.value
  if (offline > lower[0]!) data.raise('lowerLimitExceeded')
  if (offline > upper[0]!) data.raise('upperLimitExceeded')
  return undefined
}

/** Longest counter that is read as a number; annex A has two bytes. */
const MAX_COUNTER_BYTES = 4

/**
 * GET DATA of a counter; undefined where the card has none to give.
 * NOTE: annex A1 gives both counters two bytes, and 7.5 asks for no check of a format. A shorter or longer one is a number
 * all the same; it is kept as the card sent it.
 */
async function counter(
  card: CardChannel,
  data: TransactionData,
  tag: number,
): Promise<{ value: number } | undefined | CardEnd> {
  const answer = await card.exchange(getData(tag))
  if (answer.kind === 'end') return answer
  if (answer.sw !== SW.OK) return undefined
  const list = tryParseTlv(answer.data)
  // 6.5.7.4: the answer is one data object; one that does not parse ends the transaction (7.5).
  if (!list) return cardError('GET DATA answered no data object')
  const value = findTlv(list, tag)?.value
  if (!value) return undefined
  if (value.length === 0 || value.length > MAX_COUNTER_BYTES)
    return cardError('GET DATA answered a counter that is no number')
  data.updateFromCard(tag, value)
  return { value: fromUint(value) }
}
