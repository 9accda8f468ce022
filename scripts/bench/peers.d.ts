// What the benchmarks call of packages that bring no types.
declare module 'node-tlv' {
  const TLV: {
    parse(hex: string): { getChild(): readonly unknown[] }
    DOL: { parse(hex: string): { count(): number } }
  }
  export = TLV
}
declare module 'node-emv' {
  const emv: { parse(hex: string, answer: (objects: readonly unknown[]) => void): void }
  export = emv
}
declare module 'ber-tlv' {
  const berTlv: { readonly TlvFactory: { parse(bytes: Buffer): readonly unknown[] } }
  export = berTlv
}
