// struct input_event and the ioctls of the Linux input layer (linux/input.h, linux/input-event-codes.h), 64-bit only.

/** Bytes of one event: timeval of two 64-bit words, type, code, value. */
export const EVENT_BYTES = 24

export const EV_SYN = 0x00
export const EV_KEY = 0x01
export const EV_ABS = 0x03
export const SYN_REPORT = 0
/** The kernel's buffer overflowed: what is held down or where the finger is has to be learnt anew. */
export const SYN_DROPPED = 3

export interface InputEvent {
  /** The kernel's stamp in ms; CLOCK_MONOTONIC where it could be set. Only differences mean anything. */
  readonly atMs: number
  readonly type: number
  readonly code: number
  /** For keys 0 up, 1 down, 2 the kernel's own auto-repeat. */
  readonly value: number
}

/** Reads the event at `offset`; the machine's byte order, which is little-endian on both that we support. */
export function readInputEvent(bytes: DataView, offset: number): InputEvent {
  const seconds = Number(bytes.getBigInt64(offset, true))
  const micros = Number(bytes.getBigInt64(offset + 8, true))
  return {
    atMs: seconds * 1000 + micros / 1000,
    type: bytes.getUint16(offset + 16, true),
    code: bytes.getUint16(offset + 18, true),
    value: bytes.getInt32(offset + 20, true),
  }
}

/** Ioctl numbers of linux/input.h; direction, size, 'E', number packed as in asm-generic/ioctl.h. */
export const EVIOCGRAB = 0x40044590
export const EVIOCSCLOCKID = 0x400445a0
/** `EVIOCGABS(axis)`: 24 bytes of struct input_absinfo. */
export const eviocgabs = (axis: number): number => 0x80184540 + (axis & 0x3f)
export const CLOCK_MONOTONIC = 1
/** `EVIOCGKEY(96)`: a bit a key code up to KEY_MAX, set while it is down. */
export const EVIOCGKEY = 0x80604518
export const KEY_BITS_BYTES = 96

/** struct input_absinfo: the range of an axis; resolution in units a millimetre, 0 where unknown. */
export interface AxisInfo {
  readonly value: number
  readonly minimum: number
  readonly maximum: number
  readonly fuzz: number
  readonly flat: number
  readonly resolution: number
}

/** Reads the 24 bytes of a struct input_absinfo. */
export function readAxisInfo(bytes: Uint8Array): AxisInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const word = (at: number) => view.getInt32(at * 4, true)
  return {
    value: word(0),
    minimum: word(1),
    maximum: word(2),
    fuzz: word(3),
    flat: word(4),
    resolution: word(5),
  }
}
