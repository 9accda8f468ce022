// Building the candidate list: the PSE's directory, or the terminal's list of AIDs (EMV Book 1 v4.4, 12.3).
import { equalBytes } from '../../../hal/base/bytes.js'
import { TAG } from '../../../hal/base/tags.js'
import { findTlv, type Tlv } from '../../../hal/base/tlv.js'
import { displayName } from './application-name.js'
import { type CardEnd, ends, isEnd } from './card-end.js'
import { childrenOf, tryParseTemplate } from './card-tlv.js'
import { readRecord, SW, select } from './commands.js'
import type { ApplicationConfiguration } from './configuration.js'
import type { CardChannel } from './transport.js'

/** An application that card and terminal have in common. */
export interface Candidate {
  /** ADF name: the card's, as long as or longer than the terminal's AID. */
  readonly aid: Uint8Array
  readonly application: ApplicationConfiguration
  readonly name: string
  /** 87, bits 1-4: 1 is first, 0 has none and comes last. */
  readonly priority: number
  /** 87, bit 8: may not be selected without the cardholder's confirmation. */
  readonly confirmationRequired: boolean
}

/** The candidates in order, and the language preference of the PSE if it stated one. */
export interface CandidateList {
  readonly kind: 'candidates'
  readonly candidates: readonly Candidate[]
  readonly languagePreference: Uint8Array | undefined
}

/** `1PAY.SYS.DDF01` (Book 1, 12.2.2). */
const PSE_NAME = Uint8Array.from('1PAY.SYS.DDF01', (letter) => letter.charCodeAt(0))
/** A directory of more records than this belongs to no card that exists; bounds a hostile one. */
const MAX_DIRECTORY_RECORDS = 50
/** Occurrences of one partial AID; bounds a card that answers SELECT NEXT for ever. */
const MAX_OCCURRENCES = 16

export interface SelectionTerminal {
  readonly applications: readonly ApplicationConfiguration[]
  /** 9F40, for code tables. */
  readonly additionalCapabilities: Uint8Array
}

/** The candidate list, by the PSE where it leads to one, else by the list of AIDs; sorted by priority (12.4). */
export async function buildCandidateList(
  card: CardChannel,
  terminal: SelectionTerminal,
): Promise<CandidateList | CardEnd> {
  const bySystem = await byPaymentSystemEnvironment(card, terminal)
  if (isEnd(bySystem)) return bySystem
  const found = bySystem.candidates.length > 0 ? bySystem.candidates : await byListOfAids(card, terminal)
  if (isEnd(found)) return found
  return {
    kind: 'candidates',
    candidates: sortByPriority(found),
    languagePreference: bySystem.languagePreference,
  }
}

/** Highest first: 1 to 15, then those without (table 13); among equals the card's order, as 12.4, step 4 allows. */
export function sortByPriority(candidates: readonly Candidate[]): Candidate[] {
  const rank = (candidate: Candidate) => (candidate.priority === 0 ? 16 : candidate.priority)
  return [...candidates].sort((a, b) => rank(a) - rank(b))
}

/** Book 1, 12.3.2: no PSE, a blocked one or one that breaks the rules leaves the list empty. */
async function byPaymentSystemEnvironment(
  card: CardChannel,
  terminal: SelectionTerminal,
): Promise<CandidateList | CardEnd> {
  const none: CandidateList = { kind: 'candidates', candidates: [], languagePreference: undefined }
  const answer = await card.exchange(select(PSE_NAME))
  if (answer.kind === 'end') return answer
  if (answer.sw === SW.NOT_SUPPORTED) return ends('blocked', 'card blocked, or SELECT not supported')
  if (answer.sw !== SW.OK) return none
  const fci = tryParseTemplate(answer.data, TAG.FCI)
  const proprietary = findTlv(fci?.children, TAG.FCI_PROPRIETARY)?.children
  const sfi = findTlv(proprietary, TAG.SFI)?.value
  // Book 1, 12.2.3: the directory's SFI is 1 to 10.
  if (sfi?.length !== 1 || sfi[0]! < 1 || sfi[0]! > 10) return none
  const languagePreference = findTlv(proprietary, TAG.LANGUAGE_PREFERENCE)?.value
  const codeTable = codeTableOf(proprietary)
  const candidates: Candidate[] = []
  for (let number = 1; number <= MAX_DIRECTORY_RECORDS; number++) {
    const record = await card.exchange(readRecord(sfi[0]!, number))
    if (record.kind === 'end') return record
    if (record.sw === SW.RECORD_NOT_FOUND) break
    if (record.sw !== SW.OK) return { ...none, languagePreference }
    const template = tryParseTemplate(record.data, TAG.RECORD)
    if (!template) return { ...none, languagePreference }
    for (const entry of childrenOf(template)) {
      if (entry.tag !== TAG.APPLICATION_TEMPLATE) continue
      addCandidate(
        candidates,
        terminal,
        findTlv(entry.children, TAG.ADF_NAME)?.value,
        entry.children,
        codeTable,
      )
    }
  }
  return { kind: 'candidates', candidates, languagePreference }
}

/** Book 1, 12.3.3: SELECT with each AID of the terminal, and SELECT NEXT while a partial one matches. */
async function byListOfAids(card: CardChannel, terminal: SelectionTerminal): Promise<Candidate[] | CardEnd> {
  const candidates: Candidate[] = []
  let blocked = false
  for (const application of terminal.applications) {
    for (let occurrence = 0; occurrence < MAX_OCCURRENCES; occurrence++) {
      const answer = await card.exchange(select(application.aid, occurrence > 0))
      if (answer.kind === 'end') return answer
      if (answer.sw === SW.NOT_SUPPORTED && occurrence === 0)
        return ends('blocked', 'card blocked, or SELECT not supported')
      // Step 3: found (9000), or found and blocked (6283); anything else ends this AID, after SELECT NEXT too.
      if (answer.sw !== SW.OK && answer.sw !== SW.BLOCKED) break
      const fci = tryParseTemplate(answer.data, TAG.FCI)
      const dfName = findTlv(fci?.children, TAG.DF_NAME)?.value
      const proprietary = findTlv(fci?.children, TAG.FCI_PROPRIETARY)?.children
      // Step 3: mandatory data (table 10) are missing. The label is mandatory too, and its absence forgiven (12.2.4).
      if (!dfName || !proprietary) break
      if (answer.sw === SW.BLOCKED) blocked = true
      if (answer.sw === SW.OK)
        addCandidate(candidates, terminal, dfName, proprietary, codeTableOf(proprietary), application)
      // Steps 4 and 6: only a name longer than the AID, where that is allowed, can have a next occurrence.
      if (!application.partialSelection || dfName.length === application.aid.length) break
    }
  }
  if (candidates.length > 0) return candidates
  return blocked
    ? ends('blocked', 'every application in common is blocked')
    : { ...ends('notAccepted', 'no application in common'), noCommonApplication: true }
}

function addCandidate(
  candidates: Candidate[],
  terminal: SelectionTerminal,
  aid: Uint8Array | undefined,
  fields: readonly Tlv[] | undefined,
  codeTable: number | undefined,
  only?: ApplicationConfiguration,
): void {
  if (!aid || aid.length < 5 || aid.length > 16) return
  // Overlapping AIDs of the terminal find one ADF twice; a directory may list it under two names.
  if (only && candidates.some((candidate) => equalBytes(candidate.aid, aid))) return
  const application = matching(only ? [only] : terminal.applications, aid)
  if (!application) return
  const indicator = findTlv(fields, TAG.PRIORITY)?.value[0] ?? 0
  candidates.push({
    aid: Uint8Array.from(aid),
    application,
    name: displayName(
      {
        preferredName: findTlv(fields, TAG.PREFERRED_NAME)?.value,
        codeTable,
        label: findTlv(fields, TAG.APPLICATION_LABEL)?.value,
        aid,
      },
      terminal.additionalCapabilities,
    ),
    priority: indicator & 0x0f,
    confirmationRequired: (indicator & 0x80) !== 0,
  })
}

/** The terminal's row for an ADF name: an exact one first, else the longest partial one (12.3.1). */
export function matching(
  applications: readonly ApplicationConfiguration[],
  adfName: Uint8Array,
): ApplicationConfiguration | undefined {
  let best: ApplicationConfiguration | undefined
  for (const application of applications) {
    const { aid } = application
    const fits =
      aid.length === adfName.length
        ? equalBytes(aid, adfName)
        : application.partialSelection &&
          aid.length < adfName.length &&
          equalBytes(aid, adfName.subarray(0, aid.length))
    if (fits && (!best || aid.length > best.aid.length)) best = application
  }
  return best
}

function codeTableOf(proprietary: readonly Tlv[] | undefined): number | undefined {
  const value = findTlv(proprietary, TAG.CODE_TABLE)?.value
  return value?.length === 1 ? (value[0]! >> 4) * 10 + (value[0]! & 0x0f) : undefined
}

/** The FCI of the application that was finally selected. */
export interface SelectedApplication {
  readonly kind: 'selected'
  readonly candidate: Candidate
  readonly dfName: Uint8Array
  /** Data objects of A5 and BF0C, in the card's order. */
  readonly fields: readonly Tlv[]
  readonly languagePreference: Uint8Array | undefined
  readonly name: string
}

/** Removed from the list; the next candidate is tried (12.4, last step). */
export interface NotSelected {
  readonly kind: 'notSelected'
  readonly rule: string
  /** 6283: the application is blocked. */
  readonly blocked: boolean
}

/** Final selection: SELECT with the full ADF name, and an FCI that says the same (12.4). */
export async function selectApplication(
  card: CardChannel,
  candidate: Candidate,
  additionalCapabilities: Uint8Array,
): Promise<SelectedApplication | NotSelected | CardEnd> {
  const answer = await card.exchange(select(candidate.aid))
  if (answer.kind === 'end') return answer
  if (answer.sw === SW.NOT_SUPPORTED) return ends('blocked', 'card blocked at final selection')
  const notSelected = (rule: string, blocked = false): NotSelected => ({ kind: 'notSelected', rule, blocked })
  if (answer.sw !== SW.OK)
    return notSelected('final SELECT was not answered with 9000', answer.sw === SW.BLOCKED)
  const fci = tryParseTemplate(answer.data, TAG.FCI)
  const dfName = findTlv(fci?.children, TAG.DF_NAME)?.value
  const proprietary = findTlv(fci?.children, TAG.FCI_PROPRIETARY)?.children
  if (!dfName || !proprietary) return notSelected('FCI is malformed')
  if (!equalBytes(dfName, candidate.aid)) return notSelected('FCI names another application')
  const discretionary = childrenOf(findTlv(proprietary, TAG.FCI_DISCRETIONARY))
  return {
    kind: 'selected',
    candidate,
    dfName: Uint8Array.from(dfName),
    fields: [...proprietary.filter((field) => field.tag !== TAG.FCI_DISCRETIONARY), ...discretionary],
    languagePreference: findTlv(proprietary, TAG.LANGUAGE_PREFERENCE)?.value,
    name: displayName(
      {
        preferredName: findTlv(proprietary, TAG.PREFERRED_NAME)?.value,
        codeTable: codeTableOf(proprietary),
        label: findTlv(proprietary, TAG.APPLICATION_LABEL)?.value,
        aid: dfName,
      },
      additionalCapabilities,
    ),
  }
}
