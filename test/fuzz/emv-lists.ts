// Fuzz target: DOL, AFL, CVM list, ATR, dates and names out of random bytes: typed refusals or bounded results.
import { PosternError } from '../../hal/base/errors.js'
import { displayName, languages } from '../../runtime/secure/emv/application-name.js'
import { checkAtr } from '../../runtime/secure/emv/atr.js'
import { parseCvmList } from '../../runtime/secure/emv/cvm-list.js'
import { dateNumber, isCertificateExpired } from '../../runtime/secure/emv/dates.js'
import { buildDolData, MAX_DOL_DATA } from '../../runtime/secure/emv/dol.js'
import { parseAfl } from '../../runtime/secure/emv/read-application-data.js'

function dol(bytes: Uint8Array): void {
  try {
    const data = buildDolData(bytes, (tag) => (tag % 3 === 0 ? bytes : undefined))
    if (data.length > MAX_DOL_DATA) throw new Error('more than an APDU carries')
  } catch (error) {
    if (!(error instanceof PosternError) || error.code !== 'DOL_INVALID') throw error
  }
}

export const target = {
  name: 'DOL, AFL, CVM list, ATR, dates, names',
  run(bytes: Uint8Array): void {
    dol(bytes)
    const records = (parseAfl(bytes) ?? []).reduce((sum, { first, last }) => sum + last - first + 1, 0)
    if (records > 256) throw new Error('more records than the bound')
    const list = parseCvmList(bytes)
    if (list !== 'malformed' && list.rules.length * 2 + 8 !== bytes.length)
      throw new Error('another number of rules than the bytes hold')
    checkAtr(bytes)
    dateNumber(bytes.subarray(0, 3))
    isCertificateExpired(bytes.subarray(0, 3), bytes.subarray(3, 5))
    if (languages(bytes.subarray(0, 8)).some((code) => !/^[a-z]{2}$/.test(code)))
      throw new Error('not a language')
    const name = displayName(
      { preferredName: bytes, codeTable: bytes[0], label: bytes, aid: bytes.subarray(0, 16) },
      new Uint8Array(5).fill(0xff),
    )
    if (name.length > 32) throw new Error('a name that no screen takes')
  },
}
