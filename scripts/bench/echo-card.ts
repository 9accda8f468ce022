// A card in a process of its own, so that what it takes is the same for every client: `node echo-card.js SLOT-SOCKET`.
import { insertIntoVpcd } from '../dev/issuer/vpcd-card.js'

const [path] = process.argv.slice(2)
if (path !== undefined && process.argv[1]?.endsWith('/echo-card.js')) {
  const ATR = Uint8Array.of(0x3b, 0x65, 0x00, 0x00, 0x20, 0x63, 0xcb, 0x68, 0x00)
  const card = await insertIntoVpcd(
    {
      powerOn: () => ATR,
      powerOff: () => undefined,
      transmit: (command) => Uint8Array.of(command[2] ?? 0, command[3] ?? 0, 0x90, 0x00),
    },
    { path },
  )
  process.on('disconnect', () => void card.remove())
  process.send?.('inserted')
  await card.removed
  process.exit(0)
}
