// PC/SC as a driver of a board profile. Profile driver `pcsc`.
import { Type } from 'typebox'
import type { Driver } from '../../board.js'
import type { ChipCardReader } from '../../chip-card-reader.js'
import { loadPcscBinding } from './pcsc-binding.js'
import { openPcscReader, type PcscReaderOptions } from './pcsc-reader.js'

export const pcscDriver: Driver<ChipCardReader> & {
  open(options: PcscReaderOptions, context: Parameters<Driver['open']>[1]): Promise<ChipCardReader>
} = {
  name: 'pcsc',
  deviceClass: 'chip-card-reader',
  optionsSchema: Type.Object(
    {
      /** Part of the reader's name as `pcsc_scan` shows it; without it the first reader is taken. */
      reader: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
    },
    { additionalProperties: false },
  ),
  async open(options, context) {
    return openPcscReader('pcsc', await loadPcscBinding(), options, context)
  },
}
