// The development acquirer's dialect: ISO 8583:1987 binary with the terminal's messages (terminal87.ts). No PAN in clear.
import { defineDialect } from '../codec.js'
import { BINARY, ISO87_BINARY_TABLE } from './iso87-binary.js'
import { terminal87 } from './terminal87.js'

export const POSTERN_DEV_TABLE = terminal87(ISO87_BINARY_TABLE, 'postern-dev', BINARY)
export const POSTERN_DEV = defineDialect(POSTERN_DEV_TABLE)
