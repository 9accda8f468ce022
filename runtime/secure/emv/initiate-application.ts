// Initiate application processing: GET PROCESSING OPTIONS, its PDOL, its two answer formats (EMV Book 3 v4.4, 10.1 and 6.5.8).
import { concat } from '../../../hal/base/bytes.js'
import { TAG } from '../../../hal/base/tags.js'
import { encodeLength, type Tlv } from '../../../hal/base/tlv.js'
import { type CardEnd, cardError } from './card-end.js'
import { childrenOf, tryParseTlv } from './card-tlv.js'
import { getProcessingOptions, SW } from './commands.js'
import { tryBuildDolData } from './dol.js'
import type { TransactionData } from './transaction-data.js'
import type { CardChannel } from './transport.js'

/** AIP and AFL are in the data store; `pdolData` is kept for the CDA hash (Book 2, 6.6.2). */
export interface Initiated {
  readonly kind: 'initiated'
  readonly pdolData: Uint8Array
}

/** 6985: this application won't do; it leaves the list and selection goes on (Book 3, 10.1; Book 1, 12.4). */
export interface ConditionsNotSatisfied {
  readonly kind: 'conditionsNotSatisfied'
}

/** Runs GPO for the application whose FCI is in the store. */
export async function initiateApplicationProcessing(
  card: CardChannel,
  data: TransactionData,
): Promise<Initiated | ConditionsNotSatisfied | CardEnd> {
  const pdolData = pdolValue(data)
  if (!pdolData) return cardError('PDOL is malformed or asks for more than an APDU carries')
  const template = concat(Uint8Array.of(TAG.COMMAND_TEMPLATE), encodeLength(pdolData.length), pdolData)
  if (template.length > 255) return cardError('PDOL asks for more than an APDU carries')
  const answer = await card.exchange(getProcessingOptions(template))
  if (answer.kind === 'end') return answer
  if (answer.sw === SW.CONDITIONS_NOT_SATISFIED) return { kind: 'conditionsNotSatisfied' }
  if (answer.sw !== SW.OK) return cardError('GET PROCESSING OPTIONS was not answered with 9000')
  const list = tryParseTlv(answer.data)
  if (list?.length !== 1) return cardError('GET PROCESSING OPTIONS answered no single template')
  return storeAnswer(list[0]!, data) ?? { kind: 'initiated', pdolData }
}

/** The PDOL's data, empty without a PDOL; undefined for a list that cannot be served. */
function pdolValue(data: TransactionData): Uint8Array | undefined {
  const pdol = data.card(TAG.PDOL)
  return pdol ? tryBuildDolData(pdol, (tag) => data.get(tag)) : new Uint8Array()
}

function storeAnswer(template: Tlv, data: TransactionData): CardEnd | undefined {
  switch (template.tag) {
    case TAG.RESPONSE_FORMAT_1:
      // AIP, then an AFL of whole entries.
      if (template.value.length < 6 || (template.value.length - 2) % 4 !== 0)
        return cardError('GET PROCESSING OPTIONS, format 1: length')
      data.addFromCard(TAG.AIP, template.value.subarray(0, 2))
      data.addFromCard(TAG.AFL, template.value.subarray(2))
      return undefined
    case TAG.RESPONSE_FORMAT_2:
      for (const item of childrenOf(template)) {
        if (!item.children && !data.addFromCard(item.tag, item.value))
          return cardError('GET PROCESSING OPTIONS, format 2: a data object stands twice')
      }
      if (data.card(TAG.AIP)?.length !== 2) return cardError('GET PROCESSING OPTIONS, format 2: no AIP')
      if (!data.card(TAG.AFL)) return cardError('GET PROCESSING OPTIONS, format 2: no AFL')
      return undefined
    default:
      return cardError('GET PROCESSING OPTIONS answered neither format')
  }
}
