// A card as the simulated hardware sees it: something that answers to reset and to commands.

/** The chip of a virtual card. State (ATC, PIN tries) belongs to the card and survives power cycles of the slot. */
export interface VirtualCard {
  /** Cold reset: the ATR, 2 to 33 bytes, or undefined for a mute card. */
  powerOn(): Uint8Array | undefined
  /** One command APDU to one response APDU (data and status words); undefined where the card stays silent. */
  transmit(command: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined>
  powerOff(): void
}
