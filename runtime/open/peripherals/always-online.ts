// A network that is taken to be there: for boards without a switch and without a modem.
import type { NetworkState } from '../../../hal/network-state.js'

export const alwaysOnline: NetworkState = { online: () => true, on: () => () => undefined }
