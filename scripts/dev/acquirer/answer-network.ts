// Network management as the development acquirer serves it: sign-on, echo, and new keys in TR-31 blocks, with bad habits.
import type {
  Elements,
  HostMessage,
  MessageType,
} from '../../../runtime/secure/payments/iso8583/host-message.js'
import { type AcquirerOptions, ECHOED, echo, need, type Reply } from './reply.js'

const SERVED: readonly string[] = ['signOn', 'signOff', 'echo', 'keyExchange']

/** DE39, private: sign on first. */
const SIGN_ON_FIRST = 'A1'

/** What a refusal repeats, by what it refuses. */
const ECHO_OF: Readonly<Record<Exclude<MessageType, 'network'>, readonly (keyof Elements)[]>> = {
  authorisation: ECHOED.money,
  financial: ECHOED.money,
  authorisationAdvice: ECHOED.money,
  financialAdvice: ECHOED.money,
  upload: ECHOED.upload,
  reversal: ECHOED.reversal,
  totals: ECHOED.totals,
  totalsAdvice: ECHOED.totals,
}

export interface NetworkAnswer {
  answer(message: HostMessage, macKsn: Uint8Array): Reply
  /** The refusal of a message whose terminal has to sign on first; undefined where it may come. */
  refusal(message: HostMessage): Reply | undefined
}

export function createNetworkAnswer({
  newKeyBlock,
  signOnFirst = false,
  rules,
  log,
}: Pick<AcquirerOptions, 'newKeyBlock' | 'signOnFirst' | 'rules' | 'log'>): NetworkAnswer {
  const signedOn = new Set<string>()
  /** By rule: how often it was met. */
  const met = new Map<string, number>()

  return {
    answer(message, macKsn) {
      const management = need(message, 'management')
      const terminalId = need(message, 'terminalId')
      const elements = echo(message, ECHOED.network)
      const rule = rules.find(
        ({ on, when, name, times }) =>
          on === 'network' && when.management === management && (met.get(name) ?? 0) < (times ?? Infinity),
      )
      if (rule !== undefined) met.set(rule.name, (met.get(rule.name) ?? 0) + 1)
      const delivery = rule?.delivery ?? 'normal'
      const wantsKey = management === 'keyExchange'
      const keyBlock = wantsKey
        ? newKeyBlock?.({ terminalId, ksn: macKsn, habit: rule?.keyBlock })
        : undefined
      // 12, invalid transaction: a network management code that this host does not serve.
      const refused =
        rule?.decline ??
        (!SERVED.includes(management) || (wantsKey && keyBlock === undefined) ? '12' : undefined)
      if (refused !== undefined) return { elements: { ...elements, responseCode: refused }, delivery }
      log.info('network', { management, terminalId })
      if (management === 'signOn') signedOn.add(terminalId)
      if (management === 'signOff') signedOn.delete(terminalId)
      return {
        elements: {
          ...elements,
          responseCode: '00',
          ...(keyBlock === undefined || rule?.keyBlock === 'none' ? {} : { keyBlock }),
        },
        delivery,
      }
    },

    refusal(message) {
      const { type } = message
      if (!signOnFirst || type === 'network' || signedOn.has(need(message, 'terminalId'))) return undefined
      const elements = { ...echo(message, ECHO_OF[type]), responseCode: SIGN_ON_FIRST }
      const rest: Elements =
        type === 'totals' || type === 'totalsAdvice'
          ? { settlement: 'error' }
          : type === 'upload'
            ? {}
            : { retrievalReference: need(message, 'stan').padStart(12, '0') }
      return { elements: { ...elements, ...rest }, delivery: 'normal' }
    },
  }
}
