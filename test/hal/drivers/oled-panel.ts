// An OLED module as its datasheet describes it, fed with what was on the wire: SSD1306 (rev 1.1) or SH1106 (V2.3).
// Written from the datasheets' command tables alone; it knows nothing of the driver.

/** Commands with arguments: first byte to how many follow. Those of the other controller are faults. */
const ARGUMENTS: Readonly<Record<'ssd1306' | 'sh1106', Readonly<Record<number, number>>>> = {
  ssd1306: { 32: 1, 33: 2, 34: 2, 129: 1, 141: 1, 168: 1, 211: 1, 213: 1, 217: 1, 218: 1, 219: 1 },
  sh1106: { 129: 1, 173: 1, 168: 1, 211: 1, 213: 1, 217: 1, 218: 1, 219: 1 },
}

export class OledPanel {
  readonly kind: 'ssd1306' | 'sh1106'
  readonly rows: number
  /** What no datasheet allows. */
  readonly faults: string[] = []
  on = false
  inverted = false
  contrast = 0x7f
  commands = 0
  dataBytes = 0
  private memory: Uint8Array
  private readonly columns: number
  private mode: 'horizontal' | 'vertical' | 'page' = 'page'
  private segmentsTurned = false
  private scanTurned = false
  private pumped = false
  private multiplex = 63
  private startLine = 0
  private pins = 0x12
  private offset = 0
  private window = { c0: 0, c1: 127, p0: 0, p1: 7 }
  private column = 0
  private page = 0
  private pending: number[] = []
  private random = 12_345

  constructor(kind: 'ssd1306' | 'sh1106', rows = 64) {
    this.kind = kind
    this.rows = rows
    this.columns = kind === 'ssd1306' ? 128 : 132
    this.memory = this.noise()
  }

  /** Power off and on: registers as after reset, noise in the memory. */
  powerCycle(): void {
    const fresh = new OledPanel(this.kind, this.rows)
    const { faults, commands, dataBytes } = this
    Object.assign(this, fresh, { faults, commands, dataBytes })
    this.memory = this.noise()
  }

  /** One write transfer, without its address byte. */
  transfer(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      const control = bytes[at++]!
      if ((control & 0x3f) !== 0) this.faults.push(`control byte ${control.toString(16)}`)
      const isData = (control & 0x40) !== 0
      const last = (control & 0x80) === 0
      const end = last ? bytes.length : Math.min(at + 1, bytes.length)
      if (at >= bytes.length) this.faults.push('a control byte and nothing after it')
      for (; at < end; at++) {
        if (isData) this.data(bytes[at]!)
        else this.command(bytes[at]!)
      }
    }
    if (this.pending.length > 0) {
      this.faults.push(`command ${this.pending[0]!.toString(16)} without its arguments`)
      this.pending = []
    }
  }

  /** What one sees of a module in the usual wiring (upright with A1 and C8): row-major, true where lit. */
  seen(): boolean[] {
    const seen: boolean[] = []
    for (let y = 0; y < this.rows; y++) for (let x = 0; x < 128; x++) seen.push(this.lit(x, y))
    return seen
  }

  private lit(x: number, y: number): boolean {
    const pinsFit = this.pins === (this.rows === 64 ? 0x12 : 0x02)
    if (!this.on || !this.pumped || this.multiplex !== this.rows - 1 || !pinsFit) return false
    const segment = this.kind === 'ssd1306' ? 127 - x : 129 - x
    const column = this.segmentsTurned ? this.columns - 1 - segment : segment
    const common = this.scanTurned ? y : this.rows - 1 - y
    const row = (common + this.startLine + this.offset) % 64
    const bit = (this.memory[(row >> 3) * this.columns + column]! >> (row & 7)) & 1
    return (bit === 1) !== this.inverted
  }

  private data(byte: number): void {
    this.dataBytes++
    if (this.column >= this.columns) this.faults.push(`data beyond the last column, page ${this.page}`)
    else this.memory[this.page * this.columns + this.column] = byte
    const { c0, c1, p0, p1 } = this.window
    if (this.mode === 'page') {
      // SSD1306 returns to the first column; SH1106 stays behind the last one.
      this.column = this.kind === 'ssd1306' && this.column === 127 ? 0 : this.column + 1
    } else if (this.mode === 'horizontal') {
      if (this.column++ === c1) {
        this.column = c0
        this.page = this.page === p1 ? p0 : this.page + 1
      }
    } else if (this.page++ === p1) {
      this.page = p0
      this.column = this.column === c1 ? c0 : this.column + 1
    }
  }

  private command(byte: number): void {
    this.commands++
    this.pending.push(byte)
    const first = this.pending[0]!
    const wanted = ARGUMENTS[this.kind][first] ?? 0
    if (this.pending.length <= wanted) return
    const [, one = 0, two = 0] = this.pending
    this.pending = []
    this.execute(first, one, two)
  }

  private execute(first: number, one: number, two: number): void {
    const ssd = this.kind === 'ssd1306'
    if (first <= 0x0f) this.column = (this.column & 0xf0) | first
    else if (first <= 0x1f) this.column = (this.column & 0x0f) | ((first & 0x0f) << 4)
    else if (ssd && first === 0x20) this.mode = (['horizontal', 'vertical', 'page'] as const)[one] ?? 'page'
    else if (ssd && first === 0x21) {
      if (one > two || two > 127) this.faults.push(`columns ${one} to ${two}`)
      Object.assign(this.window, { c0: one, c1: two })
      this.column = one
    } else if (ssd && first === 0x22) {
      if (one > two || two > 7) this.faults.push(`pages ${one} to ${two}`)
      Object.assign(this.window, { p0: one, p1: two })
      this.page = one
    } else if (!ssd && first >= 0x30 && first <= 0x33) return
    else if (first >= 0x40 && first <= 0x7f) this.startLine = first & 0x3f
    else if (first === 0x81) this.contrast = one
    else if (ssd && first === 0x8d) this.pumped = one === 0x14
    else if (!ssd && first === 0xad) this.pumped = one === 0x8b
    else if ((first & 0xfe) === 0xa0) this.segmentsTurned = first === 0xa1
    else if ((first & 0xfe) === 0xa6) this.inverted = first === 0xa7
    else if (first === 0xa8) this.multiplex = one
    else if ((first & 0xfe) === 0xae) this.on = first === 0xaf
    else if ((first & 0xf8) === 0xb0) {
      if (ssd && this.mode !== 'page') this.faults.push('a page command outside page mode')
      this.page = first & 7
    } else if (first === 0xc0 || first === 0xc8) this.scanTurned = first === 0xc8
    else if (first === 0xd3) this.offset = one
    else if (first === 0xda) this.pins = one
    else if (![0x2e, 0xa4, 0xd5, 0xd9, 0xdb, 0xe3].includes(first))
      this.faults.push(`no such command: ${first.toString(16)}`)
  }

  private noise(): Uint8Array {
    return Uint8Array.from({ length: this.columns * 8 }, () => {
      this.random = (this.random * 1_103_515_245 + 12_345) & 0x7fffffff
      return this.random >> 16
    })
  }
}
