// Terminal action analysis: TVR against the action codes of issuer and terminal (EMV Book 3 v4.4, 10.7).
import { TAG } from '../../../hal/base/tags.js'
import type { CryptogramType } from './commands.js'
import type { TransactionData } from './transaction-data.js'

/** Terminal action codes, 5 bytes each (Book 4, 10.2). */
export interface TerminalActionCodes {
  readonly denial: Uint8Array
  readonly online: Uint8Array
  readonly default: Uint8Array
}

/** What a missing issuer action code stands for (10.7): deny nothing; ask the issuer, and without it decline, for anything. */
const ABSENT = { denial: 0x00, online: 0xff, default: 0xff } as const
const ISSUER_CODE = {
  denial: TAG.IAC_DENIAL,
  online: TAG.IAC_ONLINE,
  default: TAG.IAC_DEFAULT,
} as const

/** True if any TVR bit is also set in the issuer's or the terminal's code. */
export function actionCodeMatches(
  which: keyof TerminalActionCodes,
  data: TransactionData,
  tac: TerminalActionCodes,
): boolean {
  const tvr = data.need(TAG.TVR)
  const issuer = data.card(ISSUER_CODE[which])
  // NOTE: a code of another length than five bytes is treated as absent.
  const iac = issuer?.length === 5 ? issuer : new Uint8Array(5).fill(ABSENT[which])
  return tvr.some((byte, i) => (byte & (iac[i]! | tac[which][i]!)) !== 0)
}

/** Terminal type 9F35, second digit (Book 4, annex A1). */
export function onlineCapability(terminalType: number): 'onlineOnly' | 'both' | 'offlineOnly' {
  switch ((((terminalType & 0x0f) - 1) % 3) + 1) {
    case 1:
      return 'onlineOnly'
    case 2:
      return 'both'
    default:
      return 'offlineOnly'
  }
}

/** The cryptogram to ask for: AAC declines, TC approves offline, ARQC asks the issuer. */
export function terminalActionAnalysis(data: TransactionData, tac: TerminalActionCodes): CryptogramType {
  if (actionCodeMatches('denial', data, tac)) return 'AAC'
  switch (onlineCapability(data.need(TAG.TERMINAL_TYPE)[0]!)) {
    case 'onlineOnly':
      // 10.7: always online, unless denied.
      return 'ARQC'
    case 'both':
      return actionCodeMatches('online', data, tac) ? 'ARQC' : 'TC'
    case 'offlineOnly':
      return actionCodeMatches('default', data, tac) ? 'AAC' : 'TC'
  }
}

/** Unable to go online (10.7, third comparison): AAC where a default code matches, else TC. */
export function actionWithoutIssuer(data: TransactionData, tac: TerminalActionCodes): 'AAC' | 'TC' {
  return actionCodeMatches('default', data, tac) ? 'AAC' : 'TC'
}
