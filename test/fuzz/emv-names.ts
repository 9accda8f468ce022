// Fuzz target: ATR, dates, names and languages out of random bytes: a verdict, never a throw.
import { displayName, languages } from '../../runtime/secure/emv/application-name.js'
import { checkAtr } from '../../runtime/secure/emv/atr.js'
import { dateNumber, isCertificateExpired } from '../../runtime/secure/emv/dates.js'

export const target = {
  name: 'ATR, dates, names',
  run(bytes: Uint8Array): string {
    const atr = checkAtr(bytes)
    const date = dateNumber(bytes.subarray(0, 3))
    if (date !== undefined && (date < 19500101 || date > 20491231)) throw new Error(`date ${date}`)
    isCertificateExpired(bytes.subarray(0, 3), bytes.subarray(3, 5))
    if (languages(bytes.subarray(0, 8)).some((code) => !/^[a-z]{2}$/.test(code)))
      throw new Error('not a language')
    const name = displayName(
      { preferredName: bytes, codeTable: bytes[0], label: bytes, aid: bytes.subarray(0, 16) },
      new Uint8Array(5).fill(0xff),
    )
    if (name.length > 32) throw new Error('a name that no screen takes')
    return atr.kind === 'emv' ? atr.protocol : atr.rule
  },
}
