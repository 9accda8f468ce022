// Every message of the terminal and its answer, well formed: what the fuzzers of the host's side begin with.
import { fromHex } from '../../../hal/base/bytes.js'
import { money } from '../../../hal/base/money.js'
import {
  adviceMessage,
  authoriseMessage,
  managementMessage,
  reversalMessage,
  totalsMessage,
  uploadMessage,
} from '../../../runtime/secure/payments/acquirer-messages.js'
import type {
  AdvisedKind,
  AuthorisedKind,
  OriginalFacts,
} from '../../../runtime/secure/payments/acquirer-port.js'
import type { Elements, HostMessage } from '../../../runtime/secure/payments/iso8583/host-message.js'
import { encodeSecurityControl } from '../../../runtime/secure/payments/iso8583/security-fields.js'

const ENTRY = { nii: '001', terminalId: 'TERM0001', merchantId: 'MERCHANT1' }
export const KSN = new Uint8Array(12).fill(7)
export const AT_MS = Date.UTC(2026, 10, 22, 5, 45, 1)

export const facts = <K extends OriginalFacts['kind']>(kind: K) => ({
  terminalId: ENTRY.terminalId,
  merchantId: ENTRY.merchantId,
  stan: 42,
  preparedAtMs: AT_MS,
  utcOffsetMin: 60,
  amount: money(1250n, 'EUR'),
  cashbackMinor: 200n,
  tipMinor: 50n,
  batch: 7,
  receiptNumber: 123,
  panSequence: '01',
  entryMode: 'chip' as const,
  authorisationCode: '123456',
  retrievalReference: '000000000001',
  kind,
})
export const TOTALS = {
  sales: 3,
  salesMinor: '3750',
  voids: 1,
  voidsMinor: '1250',
  refunds: 1,
  refundsMinor: '100',
}
const totals = {
  batch: 7,
  stan: 44,
  atMs: AT_MS,
  utcOffsetMin: 60,
  currency: 'EUR',
  totals: { ...TOTALS, refundVoids: 0, refundVoidsMinor: '0' },
}
export const card = () => ({
  de55: fromHex('9F2608010203040506070882023800'),
  cardData: { ksn: KSN.slice(), bytes: new Uint8Array(32).fill(9) },
  pinBlock: { ksn: KSN.slice(), bytes: new Uint8Array(16).fill(5) },
})

const asked = (kind: AuthorisedKind, linked = false) =>
  authoriseMessage(
    ENTRY,
    {
      facts: facts(kind),
      card: linked ? undefined : card(),
      ...(linked ? { original: facts(kind === 'refund' ? 'sale' : 'preauth') } : {}),
      partialAllowed: true,
    },
    KSN,
  )
const told = (kind: AdvisedKind, repeat: boolean) =>
  adviceMessage(
    ENTRY,
    {
      facts: {
        ...facts(kind),
        // A decline has no authorisation code, and nothing was paid out.
        ...(kind === 'offlineDecline'
          ? { authorisationCode: undefined, cashbackMinor: 0n, tipMinor: 0n }
          : {}),
      },
      responseCode: 'Y3',
      card: card(),
      repeat,
    },
    KSN,
  )

export const REQUESTS: readonly HostMessage[] = [
  asked('sale'),
  asked('refund', true),
  asked('preauth'),
  asked('increment', true),
  told('offlineSale', false),
  told('offlineDecline', true),
  adviceMessage(
    ENTRY,
    {
      facts: facts('completion'),
      responseCode: '00',
      card: undefined,
      original: facts('preauth'),
      repeat: true,
    },
    KSN,
  ),
  uploadMessage(
    ENTRY,
    {
      original: facts('sale'),
      minor: 1250n,
      responseCode: '00',
      stan: 43,
      atMs: AT_MS,
      number: 1,
      count: 3,
      repeat: false,
    },
    KSN,
  ),
  ...[false, true].map((repeat) =>
    reversalMessage(ENTRY, { original: facts('sale'), stan: 43, atMs: AT_MS, cause: 'timeout', repeat }, KSN),
  ),
  totalsMessage(ENTRY, totals, KSN),
  totalsMessage(ENTRY, { ...totals, phase: 'advice' }, KSN),
  managementMessage(ENTRY, 'keyExchange', 45, AT_MS, KSN),
]

const HEAD = ['transmitted', 'local', 'stan', 'nii', 'terminalId', 'merchantId', 'security'] as const
const MONEY = [...HEAD, 'processing', 'amountMinor', 'currency'] as const

const kept = ({ elements }: HostMessage, names: readonly (keyof Elements)[]): Elements =>
  Object.fromEntries(
    names.filter((name) => elements[name] !== undefined).map((name) => [name, elements[name]]),
  )

/** What a host that is content says to a request. */
export function answerTo(request: HostMessage): HostMessage {
  const security = encodeSecurityControl({ macKsn: KSN })
  const done = { responseCode: '00', security }
  const elements = ((): Elements => {
    switch (request.type) {
      case 'authorisation':
      case 'financial':
        return {
          ...kept(request, MONEY),
          ...done,
          retrievalReference: '000000000009',
          authorisationCode: '654321',
          emv: fromHex('910A1122334455667788001272109F180400000001860784240000021122'),
        }
      case 'authorisationAdvice':
      case 'financialAdvice':
        return { ...kept(request, MONEY), ...done, retrievalReference: '000000000009' }
      case 'reversal':
        return {
          ...kept(request, [
            ...MONEY,
            'originalType',
            'originalStan',
            'originalTransmitted',
            'originalLocal',
          ]),
          ...done,
          retrievalReference: '000000000009',
        }
      case 'upload':
        return { ...kept(request, [...HEAD, 'batch', 'number']), ...done }
      case 'totals':
      case 'totalsAdvice':
        return {
          ...kept(request, [...HEAD, 'currency', 'batch']),
          security,
          responseCode: '95',
          settlement: 'outOfBalance',
          ...Object.fromEntries(Object.entries(TOTALS).map(([name, value]) => [name, String(value)])),
          refundVoids: '0',
          refundVoidsMinor: '0',
          netMinor: '-2400',
        }
      case 'network':
        return { ...kept(request, [...HEAD, 'management']), ...done, keyBlock: 'D0016B1AX00N0000' }
    }
  })()
  return { type: request.type, role: 'answer', elements }
}
