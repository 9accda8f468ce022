// The kernel's GPIO character device, version 2 (linux/gpio.h, since Linux 5.10): ioctl numbers, structs, flags.

export const GPIO_GET_CHIPINFO = 0x8044b401
export const GPIO_V2_GET_LINE = 0xc250b407
export const GPIO_V2_LINE_GET_VALUES = 0xc010b40e
export const GPIO_V2_LINE_SET_VALUES = 0xc010b40f

/** enum gpio_v2_line_flag. */
export const LINE_FLAG = {
  activeLow: 1 << 1,
  input: 1 << 2,
  output: 1 << 3,
  edgeRising: 1 << 4,
  edgeFalling: 1 << 5,
  openDrain: 1 << 6,
  openSource: 1 << 7,
  pullUp: 1 << 8,
  pullDown: 1 << 9,
} as const

/** struct gpiochip_info: name[32], label[32], lines. */
export const CHIP_INFO_BYTES = 68
export function readChipInfo(bytes: Buffer): { name: string; label: string; lines: number } {
  const text = (at: number) => bytes.toString('latin1', at, at + 32).replace(/\0.*$/s, '')
  return { name: text(0), label: text(32), lines: bytes.readUInt32LE(64) }
}

/**
 * struct gpio_v2_line_request for one line: offsets[64] of u32, consumer[32] at 256, config at 288 (flags u64, num_attrs
 * u32, padding[5], ten attributes of 24 bytes), num_lines at 560, event_buffer_size 564, padding[5], fd at 588.
 */
export const LINE_REQUEST_BYTES = 592
const CONSUMER_AT = 256
const CONFIG_AT = 288
const ATTRS_AT = CONFIG_AT + 32
const LINES_AT = 560
const FD_AT = 588
const ATTR_OUTPUT_VALUES = 2

/** A request for the line `offset`; `active` is the first value of an output. */
export function lineRequest(offset: number, consumer: string, flags: number, active?: boolean): Buffer {
  const bytes = Buffer.alloc(LINE_REQUEST_BYTES)
  bytes.writeUInt32LE(offset, 0)
  bytes.write(consumer.slice(0, 31), CONSUMER_AT, 'latin1')
  bytes.writeBigUInt64LE(BigInt(flags), CONFIG_AT)
  if (active !== undefined) {
    bytes.writeUInt32LE(1, CONFIG_AT + 8)
    bytes.writeUInt32LE(ATTR_OUTPUT_VALUES, ATTRS_AT)
    bytes.writeBigUInt64LE(active ? 1n : 0n, ATTRS_AT + 8)
    bytes.writeBigUInt64LE(1n, ATTRS_AT + 16)
  }
  bytes.writeUInt32LE(1, LINES_AT)
  return bytes
}

/** The descriptor that the kernel wrote into a request. */
export function requestedFd(request: Buffer): number {
  return request.readInt32LE(FD_AT)
}

/** struct gpio_v2_line_values for one line: bits, mask. */
export function lineValues(active: boolean): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeBigUInt64LE(active ? 1n : 0n, 0)
  bytes.writeBigUInt64LE(1n, 8)
  return bytes
}

/** struct gpio_v2_line_event: timestamp_ns u64, id u32 (1 rising, 2 falling), offset, seqno, line_seqno, padding[6]. */
export const LINE_EVENT_BYTES = 48
export function readLineEvent(bytes: Buffer, at: number): { atMs: number; rising: boolean } {
  return { atMs: Number(bytes.readBigUInt64LE(at)) / 1e6, rising: bytes.readUInt32LE(at + 8) === 1 }
}
