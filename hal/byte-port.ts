// A byte port: the narrow trait between a device's protocol and its wire (UART, pty, USB bulk pair, simulated bus).

/**
 * An open wire. Bytes arrive through `onData` in order, in pieces of any size; none is lost between opening and the
 * first listener. `write` resolves when the transport has taken the bytes: that says nothing about the far end.
 */
export interface BytePort {
  /** @throws PosternError `DEVICE_LOST` when the port goes while writing, `DEVICE_CLOSED` after `close`. */
  write(bytes: Uint8Array): Promise<void>
  /** One listener; a second call replaces it. */
  onData(listener: (bytes: Uint8Array) => void): void
  /** Called once, when the far end or the device file went away; not after `close`. At once where it already has. */
  onLost(listener: (reason: string) => void): void
  /** Idempotent; frees the port and its lock. */
  close(): Promise<void>
}

/**
 * Opens the wire.
 * @throws PosternError `DEVICE_LOST` where it isn't there, `DEVICE_BUSY` where another program holds it.
 */
export type OpenBytePort = () => Promise<BytePort>
