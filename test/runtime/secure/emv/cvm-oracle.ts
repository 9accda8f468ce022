// What cardholder verification has to come to, written a second time from the books alone (EMV Book 3 v4.4, 10.5 and annex C3;
// Book 4, 6.3.4 and table 2): text and tables of letters instead of the kernel's bits, and a different order of thought.

/** A cardholder at a terminal with a card, in plain values. */
export interface CvmCase {
  /** CVM list after the amounts, hex, two bytes a rule. */
  readonly rules: string
  readonly amountX?: number
  readonly amountY?: number
  readonly amount?: number
  readonly transaction?: 'sale' | 'cashback' | 'cash'
  /** 9F35, hex. */
  readonly terminal?: string
  /** What 9F33 byte 2 can do: P plaintext PIN, O online PIN, S signature, E enciphered PIN, N no CVM. */
  readonly can?: string
  /** 9F42 against 5F2A. */
  readonly currency?: 'same' | 'other' | 'absent'
  /** 9F17 before the first VERIFY; undefined where GET DATA is refused. */
  readonly counter?: number | undefined
  /** SW of one VERIFY after the other, then 9000. */
  readonly verify?: readonly string[]
  /** What the person does at one PIN prompt after the other, then types. */
  readonly person?: readonly ('types' | 'passes' | 'cancels' | 'leaves')[]
  /** GET CHALLENGE fails. */
  readonly noChallenge?: boolean
  /** No key to encipher a PIN with. */
  readonly noKey?: boolean
}

export interface CvmVerdict {
  /** 9F34. */
  readonly results: string
  /** TVR byte 3, hex. */
  readonly tvr: string
  readonly cvm: 'pin' | 'signature' | 'none' | 'failed' | 'end: cancelled' | 'end: timeout' | 'end: cardError'
  readonly signs: boolean
  readonly prompts: number
}

/** Annex C3: code, what it takes, and whether it ends well at once (02) or is yet to be seen (00). */
const METHODS: Readonly<Record<string, { takes: string; result: '00' | '02' }>> = {
  '01': { takes: 'P', result: '02' },
  '02': { takes: 'O', result: '00' },
  '03': { takes: 'PS', result: '00' },
  '04': { takes: 'E', result: '02' },
  '05': { takes: 'ES', result: '00' },
  '1E': { takes: 'S', result: '00' },
  '1F': { takes: 'N', result: '02' },
}

const two = (value: number) => value.toString(16).padStart(2, '0').toUpperCase()

/** TVR byte 3 from letters: F failed, U unrecognised, L limit, M no pad, B passed over, O online. */
const tvrOf = (letters: string) =>
  two([...new Set(letters)].reduce((sum, letter) => sum + (0x80 >> 'FULMBO'.indexOf(letter)), 0))

/** Performs the list as a clerk with the books on the counter would. */
export function cvmOracle(given: CvmCase): CvmVerdict {
  const can = given.can ?? 'POSEN'
  const transaction = given.transaction ?? 'sale'
  const unattended = '456'.includes((given.terminal ?? '22')[1]!)
  const amount = given.amount ?? 1500
  const x = given.amountX ?? 1000
  const y = given.amountY ?? 2000
  const same = (given.currency ?? 'same') === 'same'
  const sws = [...(given.verify ?? [])]
  const person = [...(given.person ?? [])]
  let counter = given.counter
  let bits = ''
  let prompts = 0
  let passedOver = false
  let last: { code: string; condition: string } | undefined
  const verdict = (results: string, cvm: CvmVerdict['cvm'], signs = false): CvmVerdict => ({
    results,
    tvr: tvrOf(bits),
    cvm,
    signs,
    prompts,
  })

  const applies = (condition: string, supported: boolean): boolean => {
    if (condition === '00') return true
    if (condition === '01') return transaction === 'cash' && unattended
    if (condition === '02') return transaction === 'sale'
    if (condition === '03') return supported
    if (condition === '04') return transaction === 'cash' && !unattended
    if (condition === '05') return transaction === 'cashback'
    if (condition === '06') return same && amount < x
    if (condition === '07') return same && amount > x
    if (condition === '08') return same && amount < y
    if (condition === '09') return same && amount > y
    return false
  }

  /** One PIN at a prompt: typed, or how it ended. */
  const prompt = (): 'typed' | 'passed over' | 'end: cancelled' | 'end: timeout' => {
    prompts++
    switch (person.shift() ?? 'types') {
      case 'types':
        return 'typed'
      case 'passes':
        bits += 'B'
        passedOver = true
        return 'passed over'
      case 'cancels':
        return 'end: cancelled'
      case 'leaves':
        return 'end: timeout'
    }
  }

  const offline = (
    enciphered: boolean,
  ): 'good' | 'bad' | 'end: cancelled' | 'end: timeout' | 'end: cardError' => {
    if (enciphered && given.noKey) return 'bad'
    if (counter === 0) {
      bits += 'L'
      return 'bad'
    }
    for (let tries = 0; tries < 15; tries++) {
      const typed = prompt()
      if (typed === 'passed over') return 'bad'
      if (typed !== 'typed') return typed
      if (enciphered && given.noChallenge) return 'bad'
      const sw = sws.shift() ?? '9000'
      if (sw === '9000') return 'good'
      if (sw === '6983' || sw === '6984' || sw === '63C0') {
        bits += 'L'
        counter = 0
        return 'bad'
      }
      if (!sw.startsWith('63C')) return 'end: cardError'
    }
    return 'bad'
  }

  if (given.rules.length % 4 !== 0) return verdict('3F0000', 'end: cardError')
  if (given.rules === '') return verdict('3F0000', 'none')
  for (let at = 0; at < given.rules.length; at += 4) {
    const byte = Number.parseInt(given.rules.slice(at, at + 2), 16)
    const written = given.rules.slice(at, at + 2)
    const condition = given.rules.slice(at + 2, at + 4)
    const orElse = Math.floor(byte / 64) % 2 === 1
    const code = two(byte % 64)
    const method = METHODS[code]
    const fail = code === '00'
    const supported =
      fail || (method !== undefined && [...method.takes].every((letter) => can.includes(letter)))
    if (!applies(condition, supported)) continue
    if (fail) {
      last = { code: written, condition }
      break
    }
    if (!method) bits += 'U'
    else if (!supported) {
      const pin = method.takes[0]!
      if ('POE'.includes(pin) && !can.includes(pin)) bits += 'M'
    } else {
      last = { code: written, condition }
      let outcome: ReturnType<typeof offline> = 'good'
      if ('POE'.includes(method.takes[0]!)) {
        if (passedOver) outcome = 'bad'
        else if (method.takes === 'O') {
          const typed = prompt()
          if (typed === 'typed') bits += 'O'
          outcome = typed === 'typed' ? 'good' : typed === 'passed over' ? 'bad' : typed
        } else outcome = offline(method.takes[0] === 'E')
      }
      if (outcome === 'good') {
        const signs = method.takes.includes('S')
        const kind = method.takes === 'N' ? 'none' : method.takes === 'S' ? 'signature' : 'pin'
        return verdict(written + condition + method.result, kind, signs)
      }
      if (outcome !== 'bad') return verdict('3F0000', outcome)
    }
    if (!orElse) break
  }
  bits += 'F'
  return verdict(last ? `${last.code}${last.condition}01` : '3F0001', 'failed')
}
