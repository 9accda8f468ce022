// The printer itself: eats bytes into a small buffer, moves paper at its own speed, answers queries, and can fail.
// Epson ESC/POS Command Reference: DLE EOT 1-4, DLE DC4 8, GS r 1, GS v 0; real-time commands act on receipt.
import type { Clock } from '../base/clock.js'
import { pieceAt } from '../base/escpos.js'
import {
  ESCPOS_HANDLERS,
  feedLine,
  type PrinterAction,
  type PrinterMemory,
  putCharacter,
  resetMemory,
} from './escpos-commands.js'
import { BUFFER_CLEARED, RealTimeListener, statusByte } from './escpos-real-time.js'
import { DEFAULT_STYLE, type GlyphSource, Typesetter } from './escpos-typesetter.js'

export const PRINTER_FAULTS = [
  'paperOut',
  'paperLow',
  'coverOpen',
  'headHot',
  'jam',
  'slow', // a tenth of the speed, as on a flat battery
  'silent', // switched off: takes nothing, answers nothing
] as const
export type PrinterFault = (typeof PRINTER_FAULTS)[number]

export interface EscposMachineOptions {
  readonly clock: Clock
  /** Pictures of characters; without it each is a box. */
  readonly glyphs?: GlyphSource
  /** Dots of the head: 384 (58 mm) by default. */
  readonly dots?: number
  /** Receive buffer in bytes. What overflows is lost, as on a line without flow control. */
  readonly bufferBytes?: number
  /** Paper speed; 640 rows a second are 80 mm/s at 8 dots a millimetre. */
  readonly rowsPerSecond?: number
  /** Rows left on the roll; endless by default. */
  readonly rollRows?: number
  /** The near-end sensor's place: rows left when it is covered. */
  readonly nearEndRows?: number
}

export type EscposMachineEvent =
  | { readonly type: 'rows'; readonly rows: readonly Uint8Array[] }
  | { readonly type: 'cut' }
  | { readonly type: 'transmit'; readonly bytes: Uint8Array }
  /** The hardware flow control line: while busy, a sender that listens to it sends nothing. */
  | { readonly type: 'busy'; readonly busy: boolean }

/** Rows kept for `paper()`; older ones are gone, as torn off. */
const PAPER_KEPT = 20_000

export class EscposMachine {
  readonly dots: number
  readonly #clock: Clock
  readonly #options: EscposMachineOptions
  readonly #faults = new Set<PrinterFault>()
  readonly #listeners = new Set<(event: EscposMachineEvent) => void>()
  readonly #memory: PrinterMemory
  readonly #buffer: Uint8Array
  #used = 0
  #rowsLeft: number
  #paper: Uint8Array[] = []
  readonly #realTime = new RealTimeListener()
  #freeAtMs = 0
  #wake: (() => void) | undefined
  #closed = false
  #raster: { bytesPerRow: number; rowsLeft: number } | undefined
  /** Grows when the buffer is cleared, so that what was being printed is dropped too. */
  #generation = 0
  #busy = false
  readonly counters = { overflowBytes: 0, unknownCommands: 0, printedRows: 0, cuts: 0 }
  /** The last things asked of it that it could not do, oldest first, at most 20. */
  readonly refusals: string[] = []

  constructor(options: EscposMachineOptions) {
    this.#options = options
    this.#clock = options.clock
    this.dots = options.dots ?? 384
    this.#buffer = new Uint8Array(options.bufferBytes ?? 4096)
    this.#rowsLeft = options.rollRows ?? Number.POSITIVE_INFINITY
    this.#memory = {
      style: { ...DEFAULT_STYLE },
      codePage: 0,
      barcode: { height: 162, module: 3, text: 0 },
      qr: { module: 3, level: 48, data: new Uint8Array(0) },
      typesetter: new Typesetter(this.dots, options.glyphs),
      dots: this.dots,
      actions: [],
      refuse: (what) => {
        this.refusals.push(what)
        if (this.refusals.length > 20) this.refusals.shift()
      },
    }
    void this.#run()
  }

  on(listener: (event: EscposMachineEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Sets or mends a fault. Fresh paper (`paperOut` mended) refills the roll. */
  setFault(fault: PrinterFault, on: boolean): void {
    if (on) this.#faults.add(fault)
    else this.#faults.delete(fault)
    if (fault === 'paperOut' && !on) this.#rowsLeft = this.#options.rollRows ?? Number.POSITIVE_INFINITY
    if (fault === 'silent') this.reset()
    this.#poke()
  }

  faults(): readonly PrinterFault[] {
    return PRINTER_FAULTS.filter((fault) => this.#faults.has(fault))
  }

  /** Power cycle: buffer and settings are gone, the paper stays. */
  reset(): void {
    this.#clear()
    resetMemory(this.#memory)
  }

  #tellBusy(): void {
    const busy = this.#used > this.#buffer.length - 128
    if (busy === this.#busy) return
    this.#busy = busy
    this.#emit({ type: 'busy', busy })
  }

  /** Bytes from the wire. */
  receive(bytes: Uint8Array): void {
    if (this.#closed || this.#faults.has('silent')) return
    for (const byte of bytes) {
      if (this.#clearedBy(byte)) continue
      if (this.#used >= this.#buffer.length) this.counters.overflowBytes++
      else this.#buffer[this.#used++] = byte
    }
    this.#tellBusy()
    this.#poke()
  }

  /** What has come out since `tearOff`, as packed rows. */
  paper(): readonly Uint8Array[] {
    return this.#paper
  }

  tearOff(): readonly Uint8Array[] {
    const torn = this.#paper
    this.#paper = []
    return torn
  }

  close(): void {
    this.#closed = true
    this.#poke()
  }

  get #paperOut(): boolean {
    return this.#faults.has('paperOut') || this.#rowsLeft <= 0
  }

  get #paperLow(): boolean {
    return (
      this.#faults.has('paperLow') || this.#rowsLeft <= (this.#options.nearEndRows ?? 0) || this.#paperOut
    )
  }

  get #stopped(): boolean {
    const has = (fault: PrinterFault) => this.#faults.has(fault)
    return this.#paperOut || has('coverOpen') || has('headHot') || has('jam') || has('silent')
  }

  /** ESC v is answered without paper too, where nothing stands before it. */
  get #asksForPaper(): boolean {
    return this.#paperOut && this.#used >= 2 && this.#buffer[0] === 0x1b && this.#buffer[1] === 0x76
  }

  /** Real-time commands act when they arrive. True where the byte ended one that cleared the buffer. */
  #clearedBy(byte: number): boolean {
    const heard = this.#realTime.heard(byte)
    if (heard === undefined) return false
    if (heard === 'clear') {
      this.#clear()
      this.#emit({ type: 'transmit', bytes: BUFFER_CLEARED })
      return true
    }
    const has = (fault: PrinterFault) => this.#faults.has(fault)
    const answer = statusByte(heard, {
      coverOpen: has('coverOpen'),
      headHot: has('headHot'),
      jam: has('jam'),
      paperOut: this.#paperOut,
      paperLow: this.#paperLow,
      stopped: this.#stopped,
    })
    this.#emit({ type: 'transmit', bytes: Uint8Array.of(answer) })
    return false
  }

  #clear(): void {
    this.#used = 0
    this.#realTime.forget()
    this.#raster = undefined
    this.#memory.actions.length = 0
    this.#memory.typesetter.clear()
    this.#generation++
    this.#tellBusy()
    this.#poke()
  }

  #emit(event: EscposMachineEvent): void {
    for (const listener of [...this.#listeners]) listener(event)
  }

  #poke(): void {
    this.#wake?.()
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined
        resolve()
      }
    })
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      if ((this.#stopped && !this.#asksForPaper) || !this.#step()) await this.#pause()
      const generation = this.#generation
      for (const action of this.#memory.actions.splice(0)) {
        if (generation === this.#generation) await this.#perform(action, generation)
      }
    }
  }

  #consume(count: number): Uint8Array {
    const out = this.#buffer.slice(0, count)
    this.#buffer.copyWithin(0, count, this.#used)
    this.#used -= count
    this.#tellBusy()
    return out
  }

  /** Interprets one piece of the buffer; false where it needs more bytes. */
  #step(): boolean {
    if (this.#raster !== undefined) return this.#rasterRow(this.#raster)
    const piece = pieceAt(this.#buffer, 0, this.#used)
    switch (piece.kind) {
      case 'text':
        putCharacter(this.#memory, this.#consume(1)[0]!)
        return true
      case 'unknown':
        this.counters.unknownCommands++
        this.#consume(piece.length)
        return true
      case 'incomplete': {
        // A picture is printed row by row as it arrives: it may be larger than the buffer.
        if (piece.command?.name !== 'GS v 0' || this.#used < 8) return false
        const head = this.#consume(8)
        this.#startRaster(head)
        return true
      }
      case 'command': {
        if (piece.command.name === 'GS v 0') {
          this.#startRaster(this.#consume(8))
          return true
        }
        const args = this.#consume(piece.length).slice(piece.command.prefix.length)
        const handler = ESCPOS_HANDLERS[piece.command.name]
        if (handler !== undefined) handler(this.#memory, args)
        else if (piece.command.prefix[0] !== 0x10) this.counters.unknownCommands++
        return true
      }
    }
  }

  #startRaster(head: Uint8Array): void {
    if (!this.#memory.typesetter.empty) feedLine(this.#memory)
    this.#raster = { bytesPerRow: head[4]! | (head[5]! << 8), rowsLeft: head[6]! | (head[7]! << 8) }
  }

  #rasterRow(raster: { bytesPerRow: number; rowsLeft: number }): boolean {
    if (raster.rowsLeft === 0 || raster.bytesPerRow === 0) {
      this.#raster = undefined
      return true
    }
    if (this.#used < raster.bytesPerRow) return false
    const wanted = this.dots >> 3
    const data = this.#consume(raster.bytesPerRow).subarray(0, wanted)
    const row = new Uint8Array(wanted)
    const free = wanted - data.length
    const { align } = this.#memory.style
    row.set(data, align === 'left' ? 0 : align === 'center' ? free >> 1 : free)
    this.#memory.actions.push({ kind: 'rows', rows: [row] })
    if (--raster.rowsLeft === 0) this.#raster = undefined
    return true
  }

  async #perform(action: PrinterAction, generation: number): Promise<void> {
    switch (action.kind) {
      case 'rows':
        return this.#move(action.rows, generation)
      case 'cut':
        this.counters.cuts++
        this.#emit({ type: 'cut' })
        return
      case 'reply': {
        // In sequence: what came before is on paper first.
        await this.#catchUp(0)
        // A mechanism says that its paper is out; GS r waits for paper.
        if (action.what === 'paperEnd' && this.#paperOut) {
          this.#emit({ type: 'transmit', bytes: Uint8Array.of(0x04) })
          return
        }
        while (this.#stopped && generation === this.#generation && !this.#closed) await this.#pause()
        if (generation !== this.#generation || this.#closed) return
        const byte =
          action.what === 'identity' ? 0x02 : action.what === 'paperEnd' ? 0x00 : this.#paperLow ? 0x03 : 0x00
        this.#emit({ type: 'transmit', bytes: Uint8Array.of(byte) })
        return
      }
    }
  }

  async #move(rows: readonly Uint8Array[], generation: number): Promise<void> {
    let done = 0
    while (done < rows.length) {
      while (this.#stopped && generation === this.#generation && !this.#closed) await this.#pause()
      if (generation !== this.#generation || this.#closed) return
      // In strips of at most 16 rows, so that a fault stops the paper within 2 mm.
      const strip = rows.slice(done, done + Math.min(16, this.#rowsLeft))
      done += strip.length
      this.#rowsLeft -= strip.length
      const speed = (this.#options.rowsPerSecond ?? 640) / (this.#faults.has('slow') ? 10 : 1)
      this.#freeAtMs = Math.max(this.#freeAtMs, this.#clock.monotonicMs()) + (strip.length * 1000) / speed
      await this.#catchUp(10)
      this.counters.printedRows += strip.length
      this.#paper.push(...strip)
      if (this.#paper.length > PAPER_KEPT) this.#paper.splice(0, this.#paper.length - PAPER_KEPT)
      this.#emit({ type: 'rows', rows: strip })
    }
  }

  /** Waits until the mechanism is at most `aheadMs` behind what was given to it. */
  async #catchUp(aheadMs: number): Promise<void> {
    const waitMs = this.#freeAtMs - this.#clock.monotonicMs() - aheadMs
    if (waitMs > 0) await this.#clock.sleep(waitMs)
  }
}
