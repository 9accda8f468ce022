// CODE128 symbols (ISO/IEC 15417) from and to the data of ESC/POS `GS k 73`: drawn by printers and by receipts' previews.

/** Bar and space widths of the symbol characters 0 to 105, and of stop. ISO/IEC 15417 table 1 */
const PATTERNS = (
  '212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 ' +
  '113222 123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 ' +
  '212123 212321 232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 ' +
  '113123 113321 133121 313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 ' +
  '314111 221411 431111 111224 111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 ' +
  '241211 221114 413111 241112 134111 111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 ' +
  '214121 412121 111143 111341 131141 114113 114311 411113 411311 113141 114131 311141 411131 211412 211214 ' +
  '211232 2331112'
).split(' ')

const START = { A: 103, B: 104, C: 105 } as const
const SWITCH = { A: 101, B: 100, C: 99 } as const
type CodeSet = keyof typeof START

/**
 * The modules of a CODE128 symbol (1 = bar) from `GS k 73` data: `{A {B {C` choose the code set, `{{` is a brace;
 * in set C each byte is a number 0 to 99. Undefined where the data is not legal, as the printer then prints none.
 */
export function code128Modules(data: Uint8Array): Uint8Array | undefined {
  const symbols: number[] = []
  let set: CodeSet | undefined
  for (let i = 0; i < data.length; i++) {
    let byte = data[i]!
    if (byte === 0x7b) {
      const next = String.fromCharCode(data[++i] ?? 0)
      if (next === 'A' || next === 'B' || next === 'C') {
        symbols.push(set === undefined ? START[next] : SWITCH[next])
        set = next
        continue
      }
      if (next === '1') {
        symbols.push(102)
        continue
      }
      if (next !== '{') return undefined
      byte = 0x7b
    }
    if (set === undefined) return undefined
    if (set === 'C') {
      if (byte > 99) return undefined
      symbols.push(byte)
    } else if (set === 'B') {
      if (byte < 0x20 || byte > 0x7f) return undefined
      symbols.push(byte - 0x20)
    } else {
      if (byte > 0x5f) return undefined
      symbols.push(byte < 0x20 ? byte + 64 : byte - 0x20)
    }
  }
  if (symbols.length < 2) return undefined
  const check = symbols.reduce((sum, symbol, at) => sum + symbol * Math.max(1, at), 0) % 103
  const widths = [...symbols, check, 106].map((symbol) => PATTERNS[symbol]!).join('')
  const modules: number[] = []
  for (let i = 0; i < widths.length; i++) {
    for (let n = Number(widths[i]); n > 0; n--) modules.push(i % 2 === 0 ? 1 : 0)
  }
  return Uint8Array.from(modules)
}

/**
 * `GS k 73` data for printable ASCII: code set C for runs of four digits or more, B for the rest.
 * @example code128Data('AB123456') // {BAB{C, then the numbers 12 34 56
 */
export function code128Data(text: string): Uint8Array {
  const out: number[] = []
  let set = ''
  const choose = (next: 'B' | 'C') => {
    if (set !== next) out.push(0x7b, next.charCodeAt(0))
    set = next
  }
  for (let at = 0; at < text.length; ) {
    const digits = /^\d*/.exec(text.slice(at))![0].length
    if (digits >= 4 || (digits >= 2 && digits === text.length)) {
      // An odd run leaves its first digit in set B.
      if (digits % 2 === 1) {
        choose('B')
        out.push(text.charCodeAt(at++))
      }
      choose('C')
      for (const end = at + digits - (digits % 2); at < end; at += 2) out.push(Number(text.slice(at, at + 2)))
      continue
    }
    choose('B')
    const code = text.charCodeAt(at++)
    out.push(code)
    if (code === 0x7b) out.push(code)
  }
  return Uint8Array.from(out)
}

/** The text under a CODE128 symbol: its data without code set marks. */
export function code128Text(data: Uint8Array): string {
  let text = ''
  let set = ''
  for (let i = 0; i < data.length; i++) {
    if (data[i] === 0x7b && 'ABC1'.includes(String.fromCharCode(data[i + 1] ?? 0))) {
      set = String.fromCharCode(data[++i]!)
      continue
    }
    if (data[i] === 0x7b) i++
    text += set === 'C' ? String(data[i]).padStart(2, '0') : String.fromCharCode(data[i]!)
  }
  return text
}
