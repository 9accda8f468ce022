// Cards that work against their reader: what a terminal must survive within bounds (EMV Book 1, 12.3; Book 3, 10.2).
import { ascii, concat, equalBytes, fromHex } from '../../../hal/base/bytes.js'
import type { Clock, Random } from '../../../hal/base/clock.js'
import { encodeTlv } from '../../../hal/base/tlv.js'
import type { VirtualCard } from '../../../hal/simulated/virtual-card.js'
import type { HOSTILE_HABITS } from './card-profile.js'
import { PSE_NAME } from './personalised-card.js'
import { SCHEME_AIDS } from './scheme.js'

export type HostileHabit = (typeof HOSTILE_HABITS)[number]

const OK = fromHex('9000')
const SLOW_MS = 20_000
const SELECT = 0xa4
const READ_RECORD = 0xb2
const GET_PROCESSING_OPTIONS = 0xa8
/** As deep as 250 bytes allow, two bytes a level. */
const NESTED_LEVELS = 120

const ok = (data: Uint8Array): Uint8Array => concat(data, OK)

/** An FCI that answers every SELECT, first or next, with the AID asked for and one byte more. */
function endlessSelect(command: Uint8Array, count: number): Uint8Array {
  const name = command.slice(5, 5 + (command[4] ?? 0))
  const isDirectory = equalBytes(name, PSE_NAME)
  const own = isDirectory ? name : concat(fromHex(SCHEME_AIDS.credit), Uint8Array.of(count & 0xff))
  const proprietary = isDirectory
    ? encodeTlv(0x88, Uint8Array.of(1))
    : concat(encodeTlv(0x50, ascii.encode('ENDLESS')), encodeTlv(0x87, Uint8Array.of(1)))
  return ok(encodeTlv(0x6f, concat(encodeTlv(0x84, own), encodeTlv(0xa5, proprietary))))
}

function endless(command: Uint8Array, count: number): Uint8Array {
  switch (command[1]) {
    case SELECT:
      return endlessSelect(command, count)
    case READ_RECORD: {
      const entry = concat(
        encodeTlv(0x4f, concat(fromHex(SCHEME_AIDS.credit), Uint8Array.of(command[2]!))),
        encodeTlv(0x50, ascii.encode('ENDLESS')),
      )
      return ok(encodeTlv(0x70, encodeTlv(0x61, entry)))
    }
    case GET_PROCESSING_OPTIONS:
      return endlessOptions()
    default:
      return OK
  }
}

/** Every file, every record: 30 times 255 reads if the terminal lets itself be led. */
function endlessOptions(): Uint8Array {
  const locator = Array.from({ length: 30 }, (_, i) => Uint8Array.of((i + 1) << 3, 1, 255, 0))
  return ok(encodeTlv(0x77, concat(encodeTlv(0x82, fromHex('1800')), encodeTlv(0x94, concat(...locator)))))
}

/** A full record of one object that no other record holds. */
function bulkyRecord(command: Uint8Array): Uint8Array {
  const tag = 0xdf000000 + (0x80 | (command[3]! >> 3)) * 0x10000 + (0x80 | (command[2]! & 0x7f)) * 0x100
  return ok(encodeTlv(0x70, encodeTlv(tag + (command[2]! >> 7), new Uint8Array(240))))
}

function nested(): Uint8Array {
  let inner: Uint8Array = new Uint8Array(0)
  for (let level = 0; level < NESTED_LEVELS; level++) {
    const next = encodeTlv(level === NESTED_LEVELS - 1 ? 0x6f : 0x70, inner)
    if (next.length > 250) break
    inner = next
  }
  return ok(inner)
}

/** Wraps `chip`, which goes on behaving where the habit has nothing to say. */
export function hostileCard(
  habit: HostileHabit,
  chip: VirtualCard,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): VirtualCard {
  let count = 0
  let inRecords = false
  const transmit = (command: Uint8Array): ReturnType<VirtualCard['transmit']> => {
    count++
    switch (habit) {
      case 'endless':
        return endless(command, count)
      case 'endlessRecords':
        // An honest selection first; the records are the trap.
        if (command[1] === GET_PROCESSING_OPTIONS) inRecords = true
        if (command[1] === SELECT) inRecords = false
        if (!inRecords) return chip.transmit(command)
        return command[1] === READ_RECORD ? bulkyRecord(command) : endlessOptions()
      case 'giantLength':
        // Four, three and two length bytes, each above what follows; then the indefinite form.
        return ok(fromHex(['6F84FFFFFFFF84', '6F83FFFFFF84', '6F82FFFF84', '6F8084', '6FFF'][count % 5]!))
      case 'deepNesting':
        return nested()
      case 'slow':
        return clock.sleep(SLOW_MS).then(() => chip.transmit(command))
      case 'garbage':
        return random([0, 1, 2, 3, 258, 300][count % 6]!)
      case 'mute':
        return undefined
    }
  }
  return {
    powerOn: () => (habit === 'mute' ? undefined : chip.powerOn()),
    transmit,
    powerOff: () => chip.powerOff(),
  }
}
