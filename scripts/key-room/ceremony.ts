// The two-custodian ceremony, step by step: each types a component alone, both see check values only.
import { erase } from '../../hal/base/bytes.js'
import { PosternError } from '../../hal/base/errors.js'
import { checkValue, combineComponents, type KeyKind, readComponent } from './components.js'

/** How the script speaks with the people in the room. */
export interface CeremonyDesk {
  tell(text: string): void
  /** Waits until the right person has come to the desk. */
  ready(text: string): Promise<void>
  /** Reads a line that is not shown; ASCII bytes, owned by the caller. */
  secret(question: string): Promise<Uint8Array>
  /** @returns whether the person answered yes */
  confirm(question: string): Promise<boolean>
  /** Empties the screen and what can be scrolled back to. */
  clear(): void
}

const ATTEMPTS = 3

/** A custodian alone at the desk: types the component, compares its check value with the sheet. */
async function custodian(
  desk: CeremonyDesk,
  keyName: string,
  kind: KeyKind,
  number: 1 | 2,
): Promise<Uint8Array> {
  desk.clear()
  await desk.ready(`${keyName}: custodian ${number} is alone at the desk with their sheet and presses Enter`)
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    let component: Uint8Array | undefined
    try {
      component = readComponent(kind, await desk.secret(`Component ${number} of ${keyName} (hex, not shown)`))
    } catch (error) {
      if (!(error instanceof PosternError)) throw error
      desk.tell(`That was not taken: ${error.message}. Type the component again.`)
      continue
    }
    const value = checkValue(kind.cipher, component)
    let right = false
    try {
      right = await desk.confirm(`Check value ${value}. Is it the one on your sheet?`)
    } finally {
      if (!right) erase(component)
    }
    if (right) {
      desk.clear()
      return component
    }
    desk.tell('Then a digit was mistyped. Type the component again.')
  }
  throw new PosternError(
    'CEREMONY_ABORTED',
    `${keyName}: component ${number} was not entered in three tries. No key was loaded or given out. Find out whose sheet is wrong, then begin again.`,
  )
}

/**
 * Leads two custodians through the entry of one key. The key is the caller's to erase.
 * @throws PosternError `CEREMONY_ABORTED` when a component or the whole is not what the people have on their sheets
 */
export async function enterKey(desk: CeremonyDesk, keyName: string, kind: KeyKind): Promise<Uint8Array> {
  const first = await custodian(desk, keyName, kind, 1)
  let key: Uint8Array
  try {
    key = combineComponents(kind, first, await custodian(desk, keyName, kind, 2))
  } finally {
    erase(first)
  }
  let right = false
  try {
    await desk.ready('Both custodians come to the desk; one presses Enter')
    right = await desk.confirm(
      `${keyName}: check value ${checkValue(kind.cipher, key)}. Is it the one on both sheets?`,
    )
  } finally {
    if (!right) erase(key)
  }
  if (right) return key
  throw new PosternError(
    'CEREMONY_ABORTED',
    `${keyName}: the whole key is not the one on the sheets. No key was loaded or given out. One of the components belongs to another key: compare the sheets, then begin again.`,
  )
}
