// Screen and paper, dot by dot: a dot of the handheld is always a whole number of the monitor's dots.
import { $ } from './hands.js'

/** Undoes raw deflate of base64. */
export async function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

const screen = $('screen')
const glass = screen.getContext('2d')
/** Draws a frame of RGB565, little-endian. */
export function drawScreen(width, height, packed) {
  const words = new Uint16Array(packed.buffer)
  if (screen.width !== width || screen.height !== height) {
    screen.width = width
    screen.height = height
    fit()
  }
  const image = glass.createImageData(width, height)
  for (let i = 0; i < words.length; i++) {
    const word = words[i]
    image.data[i * 4] = ((word >> 11) * 255) / 31
    image.data[i * 4 + 1] = (((word >> 5) & 63) * 255) / 63
    image.data[i * 4 + 2] = ((word & 31) * 255) / 31
    image.data[i * 4 + 3] = 255
  }
  glass.putImageData(image, 0, 0)
}

/** Older rows are gone, as on a roll that was torn off long ago. */
const MAX_ROWS = 12_000
/** Rows that are seen coming out of the printer's mouth. */
const STUB_ROWS = 420
const paper = $('paper')
const ink = paper.getContext('2d', { willReadFrequently: true })
let rowsOut = 0

/** Adds packed rows, most significant bit leftmost, 1 is black. */
export function growPaper(rows, dots) {
  const stride = Math.ceil(dots / 8)
  const count = Math.min(MAX_ROWS, rows.length / stride)
  const kept = rowsOut > 0 ? ink.getImageData(0, 0, paper.width, rowsOut) : undefined
  const drop = Math.max(0, rowsOut + count - MAX_ROWS)
  paper.width = dots
  paper.height = rowsOut + count - drop
  if (kept) ink.putImageData(kept, 0, -drop)
  const image = ink.createImageData(dots, count)
  for (let y = 0; y < count; y++) {
    for (let x = 0; x < dots; x++) {
      const black = rows[y * stride + (x >> 3)] & (0x80 >> (x & 7))
      const at = (y * dots + x) * 4
      image.data[at] = black ? 32 : 255
      image.data[at + 1] = black ? 30 : 253
      image.data[at + 2] = black ? 44 : 247
      image.data[at + 3] = 255
    }
  }
  ink.putImageData(image, 0, rowsOut - drop)
  rowsOut = paper.height
  const stub = $('stubPaper')
  stub.width = dots
  stub.height = Math.min(STUB_ROWS, rowsOut)
  stub.getContext('2d').drawImage(paper, 0, stub.height - rowsOut)
  paper.hidden = $('stub').hidden = false
  $('blank').hidden = true
  fit()
  $('roll').scrollTop = $('roll').scrollHeight
}

/** The paper is torn off and away. */
export function tearPaper() {
  rowsOut = 0
  paper.height = 1
  paper.hidden = $('stub').hidden = true
  $('blank').hidden = false
}

/** The paper that hangs out as a PNG, or null. */
export const paperPng = () =>
  new Promise((resolve) => (rowsOut === 0 ? resolve(null) : paper.toBlob(resolve, 'image/png')))

/** What of the handheld is not screen, in CSS pixels: case and margins beside it; lights, keypad, slot and card. */
const BESIDE = 64
const AROUND = 318
/** Beside the paper: its own margins and a scroll bar; a phone has neither. */
const BESIDE_PAPER = 32
const PHONE = 740

/** Chooses how many dots of the monitor one dot of the handheld takes. */
export function fit() {
  const ratio = devicePixelRatio || 1
  const large = $('large').checked
  const room = Math.min(
    (innerHeight - AROUND - $('bar').offsetHeight) / screen.height,
    (document.documentElement.clientWidth - BESIDE) / screen.width,
    1.34 * (240 / screen.width),
  )
  let step = Math.max(1, Math.floor(room * ratio + 0.001))
  // Large is for reading, not for seeing all at once: it may be taller than the window, not wider.
  if (large) {
    const widest = (document.documentElement.clientWidth - BESIDE) / screen.width
    step = Math.max(step, Math.min(step + Math.max(1, Math.round(ratio)), Math.floor(widest * ratio)))
  }
  const root = document.documentElement.style
  root.setProperty('--sw', `${(screen.width * step) / ratio}px`)
  root.setProperty('--sh', `${(screen.height * step) / ratio}px`)
  // The rolled-out paper takes what height is left, and never pushes the slot out of sight.
  const left = innerHeight - $('bar').offsetHeight - AROUND - (screen.height * step) / ratio
  root.setProperty('--stub', `${Math.max(20, left - 6)}px`)
  screen.dataset.step = String(step)

  const widest = Math.max(0, $('receipt').clientWidth - (innerWidth > PHONE ? BESIDE_PAPER : 0)) * ratio
  const paperStep = Math.max(1, Math.min(Math.floor(widest / paper.width), Math.round(ratio)))
  paper.style.width = `${(paper.width * paperStep) / ratio}px`
  paper.style.height = `${(paper.height * paperStep) / ratio}px`
}
addEventListener('resize', fit)
$('large').addEventListener('change', fit)
/** Follows the window to another monitor, or a zoom. */
function watchRatio() {
  matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener(
    'change',
    () => {
      fit()
      watchRatio()
    },
    { once: true },
  )
}
watchRatio()
fit()
