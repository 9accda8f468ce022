// PC/SC as drivers of a board profile, contact and contactless. Profile driver `pcsc`.
import { Type } from 'typebox'
import type { Driver, DriverContext } from '../../board.js'
import type { ChipCardReader } from '../../chip-card-reader.js'
import type { ContactlessReader } from '../../contactless-reader.js'
import { loadPcscBinding, PCSC_LIBRARIES, type PcscLibrary } from './load-pcsc-binding.js'
import { openPcscContactless, type PcscContactlessOptions } from './pcsc-contactless.js'
import { openPcscReader } from './pcsc-reader.js'
import type { WantedReader } from './reader-name.js'

/** Options that both have. */
const common = {
  /** Part of the reader's name as `pcsc_scan` shows it, in any case, `*` for anything; without it the first reader. */
  reader: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
  /** The native library; without it the first that is built for the Node that runs. */
  library: Type.Optional(Type.Enum([...PCSC_LIBRARIES])),
}
const Slot = Type.Integer({ minimum: 0, maximum: 255 })
type Library = { readonly library?: PcscLibrary }

export const pcscDriver: Driver<ChipCardReader> & {
  open(options: WantedReader & Library, context: DriverContext): Promise<ChipCardReader>
} = {
  name: 'pcsc',
  deviceClass: 'chip-card-reader',
  optionsSchema: Type.Object({ ...common, slot: Type.Optional(Slot) }, { additionalProperties: false }),
  async open({ library, ...wanted }, context) {
    return openPcscReader('pcsc', await loadPcscBinding(library), wanted, context)
  },
}

export const pcscContactlessDriver: Driver<ContactlessReader> & {
  open(options: PcscContactlessOptions & Library, context: DriverContext): Promise<ContactlessReader>
} = {
  name: 'pcsc',
  deviceClass: 'contactless-reader',
  optionsSchema: Type.Object(
    { ...common, slots: Type.Optional(Type.Array(Slot, { minItems: 1, maxItems: 4, uniqueItems: true })) },
    { additionalProperties: false },
  ),
  async open({ library, ...options }, context) {
    return openPcscContactless('pcsc', await loadPcscBinding(library), options, context)
  },
}
