// The sources of the network's state by their names in a board profile.
import type { BoardNetwork } from '../../board.js'
import { netlinkSource } from './netlink-network.js'
import { networkManagerSource } from './network-manager.js'
import type { NetworkSource } from './watched-network.js'

export function networkSource({ source, defaultRoute }: BoardNetwork): NetworkSource {
  switch (source) {
    case 'netlink':
      return netlinkSource(defaultRoute)
    case 'network-manager':
      return networkManagerSource(defaultRoute)
  }
}
