// Issuer-to-card scripts: templates 71 and 72, command by command, and their results (EMV Book 3 v4.4, 10.10; Book 4, 6.3.9 and annex A5).
import { concat } from '../../../hal/base/bytes.js'
import { TAG } from '../../../hal/base/tags.js'
import { findAllTlv, findTlv } from '../../../hal/base/tlv.js'
import type { CardEnd } from './card-end.js'
import { tryParseTemplate } from './card-tlv.js'
import type { TransactionData } from './transaction-data.js'
import type { CardChannel } from './transport.js'

/** Before (71) or after (72) the final GENERATE AC. */
export type ScriptPhase = typeof TAG.SCRIPT_71 | typeof TAG.SCRIPT_72

/** First nibble of a script result (Book 4, annex A5). */
const RESULT = { notPerformed: 0x00, failed: 0x10, successful: 0x20 } as const
/**
 * Bounds on what a host can make us send in one phase; the book asks for 128 bytes of script to be borne (Book 3, 10.10).
 * A template beyond them is reported as not performed.
 */
const MAX_TEMPLATES = 16
const MAX_COMMANDS = 32

export interface ScriptsRun {
  readonly kind: 'scripts'
  /** Five bytes a script: result and sequence number, then the script identifier. */
  readonly results: Uint8Array
  /** The card left; `results` says what was done until then, and that the rest was not. */
  readonly end: CardEnd | undefined
}

/** Runs the templates of one phase in order; sets TVR and TSI. */
export async function runIssuerScripts(
  card: CardChannel,
  data: TransactionData,
  templates: readonly Uint8Array[],
  phase: ScriptPhase,
): Promise<ScriptsRun> {
  const results: Uint8Array[] = []
  let end: CardEnd | undefined
  const failed = phase === TAG.SCRIPT_71 ? 'scriptFailedBefore' : 'scriptFailedAfter'
  for (const [index, bytes] of templates.filter((template) => template[0] === phase).entries()) {
    data.performed('scriptProcessingPerformed')
    const children = tryParseTemplate(bytes, phase)?.children
    const commands = findAllTlv(children, TAG.SCRIPT_COMMAND)
    const id = findTlv(children, TAG.SCRIPT_ID)?.value
    const identifier = id?.length === 4 ? id : new Uint8Array(4)
    // A script that cannot be read, or that no card is left for, is not performed, and that is a failure (Book 3, 10.10).
    if (
      end ||
      !children ||
      index >= MAX_TEMPLATES ||
      commands.length > MAX_COMMANDS ||
      commands.some(({ value }) => !isCommand(value))
    ) {
      data.raise(failed)
      results.push(concat(Uint8Array.of(RESULT.notPerformed), identifier))
      continue
    }
    const run = await runCommands(
      card,
      commands.map(({ value }) => value),
    )
    if (run.failedAt > 0) data.raise(failed)
    const sequence = Math.min(run.failedAt, 0x0f)
    results.push(
      concat(Uint8Array.of((run.failedAt > 0 ? RESULT.failed : RESULT.successful) | sequence), identifier),
    )
    end = run.end
  }
  return { kind: 'scripts', results: concat(...results), end }
}

/** A command APDU: four bytes of header at least, and not longer than a short one. */
function isCommand(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes.length <= 261
}

/** Stops at the first answer that is neither 90, 62 nor 63; `failedAt` counts from one, 0 is success. */
async function runCommands(
  card: CardChannel,
  commands: readonly Uint8Array[],
): Promise<{ failedAt: number; end: CardEnd | undefined }> {
  for (const [index, command] of commands.entries()) {
    const answer = await card.exchange(command)
    if (answer.kind === 'end') return { failedAt: index + 1, end: answer }
    const sw1 = answer.sw >> 8
    if (sw1 !== 0x90 && sw1 !== 0x62 && sw1 !== 0x63) return { failedAt: index + 1, end: undefined }
  }
  return { failedAt: 0, end: undefined }
}
