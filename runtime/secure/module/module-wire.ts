// The seam's requests and outcomes to their JSON form and back; both ends of the socket use it.

import { fromHex, toHex } from '../../../hal/base/bytes.js'
import { PosternError } from '../../../hal/base/errors.js'
import { moneyFromJson, moneyToJson } from '../../../hal/base/money.js'
import type {
  CardAuthorisation,
  CardFacts,
  CardRequest,
  DukptCiphertext,
  FinalOutcome,
  HostAnswer,
  StartOutcome,
} from '../card-transaction.js'
import type { StatusFacts } from '../screens/scene.js'
import type {
  ModuleAuthorisation,
  ModuleCardRequest,
  ModuleFacts,
  ModuleFinal,
  ModuleHostAnswer,
  ModuleStart,
} from './module-contract.js'

export function requestToJson(request: CardRequest, { battery, ...status }: StatusFacts): ModuleCardRequest {
  return {
    type: request.type,
    amount: moneyToJson(request.amount),
    ...(request.otherAmount === undefined ? {} : { otherAmount: moneyToJson(request.otherAmount) }),
    ...(request.forceOnline === undefined ? {} : { forceOnline: request.forceOnline }),
    sequence: request.sequence,
    at: request.at.toISOString(),
    locale: request.locale,
    status: { ...status, ...(battery === undefined ? {} : { battery }) },
  }
}

/** @throws PosternError `MONEY_INVALID` */
export function requestFromJson(json: ModuleCardRequest): CardRequest {
  const { type, sequence, locale, otherAmount, forceOnline } = json
  return {
    type,
    amount: moneyFromJson(json.amount),
    ...(otherAmount === undefined ? {} : { otherAmount: moneyFromJson(otherAmount) }),
    ...(forceOnline === undefined ? {} : { forceOnline }),
    sequence,
    at: new Date(json.at),
    locale,
  }
}

/** No number is typed into a certified module through this seam. */
const typedRefused = () => new PosternError('MODULE_REFUSED', 'a typed card is none of a module')

function factsToJson({ panSequence, entryMode, ...facts }: CardFacts): ModuleFacts {
  if (entryMode === 'manual') throw typedRefused()
  return { ...facts, entryMode, ...(panSequence === undefined ? {} : { panSequence }) }
}

function factsFromJson(json: ModuleFacts): CardFacts {
  return { ...json, panSequence: json.panSequence }
}

const ciphertextToJson = ({ ksn, bytes }: DukptCiphertext) => ({ ksn: toHex(ksn), bytes: toHex(bytes) })
const ciphertextFromJson = (json: { ksn: string; bytes: string }): DukptCiphertext => ({
  ksn: fromHex(json.ksn),
  bytes: fromHex(json.bytes),
})

function authorisationToJson(authorisation: CardAuthorisation): ModuleAuthorisation {
  const { facts, de55, cardData, pinBlock, cardToken } = authorisation
  return {
    facts: factsToJson(facts),
    de55: toHex(de55),
    cardData: ciphertextToJson(cardData),
    ...(pinBlock === undefined ? {} : { pinBlock: ciphertextToJson(pinBlock) }),
    cardToken,
  }
}

function authorisationFromJson({
  facts,
  de55,
  cardData,
  pinBlock,
  cardToken,
}: ModuleAuthorisation): CardAuthorisation {
  return {
    facts: factsFromJson(facts),
    de55: fromHex(de55),
    cardData: ciphertextFromJson(cardData),
    pinBlock: pinBlock && ciphertextFromJson(pinBlock),
    cardToken,
  }
}

export function startToJson(outcome: StartOutcome): ModuleStart {
  switch (outcome.kind) {
    case 'online':
    case 'approvedOffline':
      return { ...outcome, authorisation: authorisationToJson(outcome.authorisation) }
    case 'stripe': {
      const { serviceCode, reason } = outcome.authorisation
      const authorisation = { ...authorisationToJson(outcome.authorisation), serviceCode, reason }
      return { kind: 'stripe', authorisation }
    }
    case 'typed':
      throw typedRefused()
    case 'declinedOffline':
      return { ...outcome, facts: factsToJson(outcome.facts), de55: toHex(outcome.de55) }
    case 'ended':
      return {
        kind: 'ended',
        reason: outcome.reason,
        ...(outcome.facts === undefined ? {} : { facts: factsToJson(outcome.facts) }),
      }
  }
}

export function startFromJson(json: ModuleStart): StartOutcome {
  switch (json.kind) {
    case 'online':
    case 'approvedOffline':
      return { ...json, authorisation: authorisationFromJson(json.authorisation) }
    case 'stripe': {
      const { serviceCode, reason } = json.authorisation
      const authorisation = { ...authorisationFromJson(json.authorisation), serviceCode, reason }
      return { kind: 'stripe', authorisation }
    }
    case 'declinedOffline':
      return { ...json, facts: factsFromJson(json.facts), de55: fromHex(json.de55) }
    case 'ended':
      return json.facts === undefined
        ? { kind: 'ended', reason: json.reason }
        : { kind: 'ended', reason: json.reason, facts: factsFromJson(json.facts) }
  }
}

export function answerToJson(answer: HostAnswer): ModuleHostAnswer {
  if (answer.kind === 'unableToGoOnline') return answer
  const { issuerAuthenticationData: arpc, scripts, ...rest } = answer
  return {
    ...rest,
    ...(arpc === undefined ? {} : { issuerAuthenticationData: toHex(arpc) }),
    scripts: scripts.map(toHex),
  }
}

export function answerFromJson(json: ModuleHostAnswer): HostAnswer {
  if (json.kind === 'unableToGoOnline') return json
  const { issuerAuthenticationData: arpc, scripts, ...rest } = json
  return {
    ...rest,
    issuerAuthenticationData: arpc === undefined ? undefined : fromHex(arpc),
    scripts: scripts.map(fromHex),
  }
}

export function finalToJson(outcome: FinalOutcome): ModuleFinal {
  const facts = factsToJson(outcome.facts)
  return outcome.kind === 'ended' ? { ...outcome, facts } : { ...outcome, facts, de55: toHex(outcome.de55) }
}

export function finalFromJson(json: ModuleFinal): FinalOutcome {
  const facts = factsFromJson(json.facts)
  return json.kind === 'ended' ? { ...json, facts } : { ...json, facts, de55: fromHex(json.de55) }
}
