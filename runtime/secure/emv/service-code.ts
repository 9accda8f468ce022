// The service code of a stripe: what each of its three digits means (ISO/IEC 7813, table of service codes).

/** First digit: where the card may be used, and whether it has a chip. */
const INTERCHANGE: Readonly<Record<string, { readonly use: ServiceCode['use']; readonly chip: boolean }>> = {
  '1': { use: 'international', chip: false },
  '2': { use: 'international', chip: true },
  '5': { use: 'national', chip: false },
  '6': { use: 'national', chip: true },
  '7': { use: 'agreedOnly', chip: false },
  '9': { use: 'test', chip: false },
}

/** Second digit: who authorises. */
const AUTHORISATION: Readonly<Record<string, ServiceCode['authorisation']>> = {
  '0': 'normal',
  '2': 'online',
  '4': 'onlineUnlessAgreed',
}

/** Third digit: what may be bought, and whether with a PIN. */
const SERVICES: Readonly<Record<string, Pick<ServiceCode, 'services' | 'pin'>>> = {
  '0': { services: 'all', pin: 'required' },
  '1': { services: 'all', pin: 'notAsked' },
  '2': { services: 'goods', pin: 'notAsked' },
  '3': { services: 'atmOnly', pin: 'required' },
  '4': { services: 'cash', pin: 'notAsked' },
  '5': { services: 'goods', pin: 'required' },
  '6': { services: 'all', pin: 'whereFeasible' },
  '7': { services: 'goods', pin: 'whereFeasible' },
}

export interface ServiceCode {
  /** `agreedOnly`: no interchange except by bilateral agreement. */
  readonly use: 'international' | 'national' | 'agreedOnly' | 'test'
  /** The card has a chip, which is to be used where that is feasible. */
  readonly chip: boolean
  /** `online`: the issuer is to be asked. */
  readonly authorisation: 'normal' | 'online' | 'onlineUnlessAgreed'
  readonly services: 'all' | 'goods' | 'cash' | 'atmOnly'
  readonly pin: 'required' | 'whereFeasible' | 'notAsked'
}

/** Reads three digits; undefined where one of them is reserved, or it is no service code. */
export function readServiceCode(digits: string): ServiceCode | undefined {
  if (!/^[0-9]{3}$/.test(digits)) return undefined
  const interchange = INTERCHANGE[digits[0]!]
  const authorisation = AUTHORISATION[digits[1]!]
  const services = SERVICES[digits[2]!]
  if (!interchange || !authorisation || !services) return undefined
  return { ...interchange, authorisation, ...services }
}
