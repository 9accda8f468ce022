// A byte wire seen from the host: what the virtual handheld's printer port carries.

/** The host's end of a wire to a simulated device. */
export interface BytePort {
  /** Resolves when the wire has taken the bytes, at its own rate; rejects when the device is unplugged. */
  write(bytes: Uint8Array): Promise<void>
  /** Bytes that the device sends. Returns the unsubscriber. */
  onData(listener: (bytes: Uint8Array) => void): () => void
}
