// A terminal that takes key serial numbers until it is killed: prints each one the moment its key may be used.
import { writeSync } from 'node:fs'
import { ascii, toHex } from '../../../../hal/base/bytes.js'
import { systemRandom } from '../../../../hal/base/clock.js'
import { openTerminalKeys } from '../../../../runtime/secure/keys/dukpt-terminal-keys.js'
import { openFileKeyStore } from '../../../../runtime/secure/keys/file-key-store.js'

const store = await openFileKeyStore({
  folder: process.argv[2]!,
  passphrase: ascii.encode('open sesame'),
  random: systemRandom,
})
const keys = await openTerminalKeys(store, systemRandom)
for (;;) writeSync(1, `${toHex(await keys.nextRequestKsn())}\n`)
