// Which signature a GENERATE AC asks for: CDA by its mode, XDA always (EMV Book 2 v4.4, 6.6 and 12.5.1; Book 4, 6.3.2).
import type { CryptogramType } from './commands.js'
import type { CdaMode } from './configuration.js'
import type { EcKey } from './ec-sdsa.js'
import { xdaHasFailed } from './extended-data-authentication.js'
import type { OdaResult } from './offline-data-authentication.js'
import type { RsaKey } from './rsa-recovery.js'
import type { TransactionData } from './transaction-data.js'

const CDA_WITH_ARQC: Readonly<Record<CdaMode, boolean>> = { 1: true, 2: true, 3: false, 4: false }
const CDA_WITH_FINAL_TC: Readonly<Record<CdaMode, boolean>> = { 1: true, 2: false, 3: false, 4: true }

/** The signature asked for; `cda` and `xda` are never both there. */
export interface SignatureRequest {
  /** The card's key, and the data of PDOL and, at the second GENERATE AC, CDOL1. */
  readonly cda?: { readonly key: RsaKey; readonly earlierDolData: readonly Uint8Array[] } | undefined
  /** Without a key the signature is asked for and not verified: XDA has failed already. */
  readonly xda?:
    | { readonly key: EcKey | undefined; readonly earlierDolData: readonly Uint8Array[] }
    | undefined
}

/** One GENERATE AC to come. */
export interface CryptogramStep {
  readonly command: 'first' | 'second'
  readonly type: CryptogramType
  /** Second: no issuer was reached, the terminal decides (Book 3, 10.7). */
  readonly unableToGoOnline?: boolean
  readonly earlierDolData: readonly Uint8Array[]
}

/** What to ask for, and the TVR bit "not performed" as CDA has it before the CDOL's data are built. */
export function signatureRequest(
  data: TransactionData,
  oda: Pick<OdaResult, 'method' | 'iccKey' | 'xdaKey'>,
  step: CryptogramStep,
  mode: CdaMode = 1,
): SignatureRequest {
  const { earlierDolData } = step
  if (oda.method === 'XDA')
    return { xda: { key: xdaHasFailed(data) ? undefined : oda.xdaKey, earlierDolData } }
  if (oda.method !== 'CDA' || !oda.iccKey) return {}
  const wanted = wantsCda(step, mode)
  // 6.6: not performed where the first GENERATE AC goes without; the second takes it back (figures 3 and 4).
  if (step.command === 'second') data.clear('odaNotPerformed')
  else if (!wanted) data.raise('odaNotPerformed')
  return wanted ? { cda: { key: oda.iccKey, earlierDolData } } : {}
}

function wantsCda(step: CryptogramStep, mode: CdaMode): boolean {
  switch (step.type) {
    case 'AAC':
      return false
    case 'ARQC':
      return CDA_WITH_ARQC[mode]
    case 'TC':
      return step.command === 'first' || step.unableToGoOnline === true || CDA_WITH_FINAL_TC[mode]
  }
}
