// The terminal's own check, on secure screens: which protections are missing and what to do, and each acquirer's keys.
import { isPosternError } from '../../hal/base/errors.js'
import type { Screen, ScreenResult } from '../api/screens.js'
import type { HostStanding, KeyChange } from './payments/network-management.js'
import type { MissingProtection } from './protections.js'
import type { Texts } from './texts.js'

const SCREEN_MS = 120_000
/** Longest values of a list's and a details screen's rows. */
const LABEL = 60
const VALUE = 80

export interface TerminalCheckDependencies {
  readonly missing: readonly MissingProtection[]
  readonly hosts: () => Promise<readonly HostStanding[]>
  /** @throws PosternError `BUSY` */
  readonly changeKeys: (acquirer: string) => Promise<KeyChange>
  /** A supervisor's code; undefined where nobody gave it. */
  readonly authorise: (reason: string, signal: AbortSignal) => Promise<string | undefined>
  readonly ask: (screen: Screen, signal: AbortSignal) => Promise<ScreenResult>
  readonly texts: Texts
  /** The language of whoever holds the terminal. */
  readonly language: () => string
}

export interface TerminalCheck {
  /** Shows it until it is left; at once where it is shown already. */
  review(signal?: AbortSignal): Promise<void>
}

/** Where a person has to look at it. */
const isTroubled = ({ keys, record }: HostStanding) =>
  keys === undefined || !keys.proven || keys.left === 0 || (record?.lastFailure ?? null) !== null

const minute = (ms: number | undefined) =>
  ms === undefined ? '-' : new Date(ms).toISOString().slice(0, 16).replace('T', ' ')

export function createTerminalCheck(deps: TerminalCheckDependencies): TerminalCheck {
  const { missing, ask, texts } = deps
  const t = (key: string, parameters: Record<string, string | number> = {}) =>
    texts.text(deps.language(), key, parameters)
  let open = false

  const keysInWords = ({ keys }: HostStanding): string => {
    if (keys === undefined) return t('check.keys.none')
    if (!keys.proven) return t('check.keys.trial')
    const used = Math.floor((keys.used / (keys.used + keys.left)) * 100)
    return t('check.keys.used', { percent: used, left: keys.left })
  }

  function listScreen(hosts: readonly HostStanding[]): Screen {
    return {
      kind: 'list',
      title: t('check.title'),
      items: [
        ...(missing.length === 0
          ? [{ id: 'sound', label: t('check.sound'), mark: 'done' as const }]
          : missing.map(({ name }, i) => ({
              id: `p${i}`,
              label: t(`protection.${name}`).slice(0, LABEL),
              detail: t('check.missing'),
              mark: 'attention' as const,
            }))),
        ...hosts.map((host, i) => ({
          id: `h${i}`,
          label: t('check.keysOf', { acquirer: host.acquirer }).slice(0, LABEL),
          detail: keysInWords(host).slice(0, LABEL),
          mark: isTroubled(host) ? ('attention' as const) : ('done' as const),
        })),
      ],
      timeoutMs: SCREEN_MS,
    }
  }

  const message = (text: string, tone: 'info' | 'success' | 'warning', signal: AbortSignal) =>
    ask({ kind: 'message', title: t('check.title'), text, tone, timeoutMs: SCREEN_MS }, signal)

  async function protectionScreen({ name, detail }: MissingProtection, signal: AbortSignal): Promise<void> {
    const text = `${t(`protection.${name}.means`, { detail })}\n${t(`protection.${name}.do`)}`
    await message(text, 'warning', signal)
  }

  async function change(acquirer: string, signal: AbortSignal): Promise<void> {
    const reason = t('check.change.reason', { acquirer })
    if ((await deps.authorise(reason, signal)) === undefined) return
    const done = new AbortController()
    const both = AbortSignal.any([signal, done.signal])
    const progress = ask(
      { kind: 'progress', title: t('check.title'), text: t('check.change.underWay', { acquirer }) },
      both,
    )
    const result = await deps.changeKeys(acquirer).catch((error: unknown): KeyChange => {
      if (!isPosternError(error) || error.code === 'JOURNAL_FAILED') throw error
      return { kind: 'failed', code: error.code }
    })
    done.abort()
    await progress
    await (result.kind === 'changed'
      ? message(t('check.change.done', { acquirer, checkValue: result.checkValue }), 'success', signal)
      : message(t('check.change.failed', { acquirer, code: result.code }), 'warning', signal))
  }

  async function hostScreen(host: HostStanding, signal: AbortSignal): Promise<void> {
    const { acquirer, terminalId, keySet, keys, record, exchanges } = host
    const failure = record?.lastFailure ?? undefined
    const rows: [string, string][] = [
      [t('check.row.terminal'), terminalId],
      [t('check.row.keys'), keysInWords(host)],
      ...(keys === undefined
        ? []
        : [[t('check.row.key'), `${keySet} ${keys.scheme.toUpperCase()} ${keys.ikid}`] as [string, string]]),
      ...(record?.checkValue ? [[t('check.row.checkValue'), record.checkValue] as [string, string]] : []),
      [t('check.row.exchanged'), minute(record?.exchangedAtMs)],
      [t('check.row.signedOn'), minute(record?.signedOnAtMs)],
      ...(failure === undefined
        ? []
        : [[t('check.row.failure'), `${failure.code} ${minute(failure.atMs)}`] as [string, string]]),
    ]
    const chosen = await ask(
      {
        kind: 'details',
        title: acquirer.slice(0, 40),
        rows: rows.map(([label, value]) => ({ label: label.slice(0, 24), value: value.slice(0, VALUE) })),
        items: exchanges ? [{ id: 'change', label: t('check.change') }] : [],
        timeoutMs: SCREEN_MS,
      },
      signal,
    )
    if (chosen.type === 'selected') await change(acquirer, signal)
  }

  async function show(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const hosts = await deps.hosts()
      const chosen = await ask(listScreen(hosts), signal)
      if (chosen.type !== 'selected') return
      const index = Number(chosen.id.slice(1))
      if (chosen.id === 'sound') await message(t('check.sound.means'), 'info', signal)
      else if (chosen.id.startsWith('p')) await protectionScreen(missing[index]!, signal)
      else await hostScreen(hosts[index]!, signal)
    }
  }

  return {
    async review(signal = new AbortController().signal) {
      if (open) return
      open = true
      try {
        await show(signal)
      } finally {
        open = false
      }
    },
  }
}
