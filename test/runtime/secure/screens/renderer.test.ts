// The renderer on every panel: samples and random screens stay inside their rows, and say in words what they show.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeQR } from 'qr/decode.js'
import t from 'tap'
import { loadFont } from '../../../../hal/base/font/font.js'
import { packageRoot } from '../../../../hal/base/package-root.js'
import type { DisplayCapabilities, Frame } from '../../../../hal/display.js'
import { checker } from '../../../../runtime/api/contract.js'
import { Screen } from '../../../../runtime/api/screens.js'
import { Canvas, rgb } from '../../../../runtime/secure/screens/canvas.js'
import { divide } from '../../../../runtime/secure/screens/layout.js'
import { createRenderer } from '../../../../runtime/secure/screens/renderer.js'
import type { Scene } from '../../../../runtime/secure/screens/scene.js'
import { truncate, wrap } from '../../../../runtime/secure/screens/text-layout.js'
import { loadTexts } from '../../../../runtime/secure/texts.js'
import { samples } from '../../../../scripts/dev/screens/samples.js'
import { randomScreen, walkScreen } from '../../../fuzz/screens.js'

const font = loadFont()
const texts = loadTexts()
const PANELS: readonly DisplayCapabilities[] = [
  { width: 128, height: 64, depth: 1, dpi: 130 },
  { width: 128, height: 128, depth: 16, dpi: 130 },
  { width: 160, height: 128, depth: 16, dpi: 130 },
  { width: 240, height: 320, depth: 16, dpi: 165 },
  { width: 320, height: 240, depth: 16, dpi: 165 },
  { width: 480, height: 800, depth: 16, dpi: 220 },
]

t.test(
  'every sample on every panel: a whole frame, all words, nothing left out of the top row',
  async (t) => {
    for (const panel of PANELS) {
      const renderer = createRenderer(panel, font, texts)
      for (const [name, scene] of Object.entries(samples)) {
        const { frame, alt } = renderer.render(scene)
        t.equal(frame.pixels.length, panel.width * panel.height)
        const words = alt.join('\n')
        if ('title' in scene.content)
          t.ok(
            words.includes(scene.content.title),
            `${name} names its title at ${panel.width}x${panel.height}`,
          )
        if (panel.depth === 1) t.notOk(frame.pixels.some((pixel) => pixel !== 0 && pixel !== 0xffff))
        t.ok(new Set(frame.pixels).size > 1, 'something is drawn')
      }
    }
  },
)

t.test('a QR code on any panel is whole: a reader reads it', async (t) => {
  for (const panel of PANELS) {
    const renderer = createRenderer(panel, font, texts)
    for (const data of ['https://example.org/r/8f3k2m9q', 'W'.repeat(panel.height < 160 ? 40 : 300)]) {
      const { state: _, ...rest } = samples['en-qr']!
      const { frame } = renderer.render({
        ...rest,
        content: { kind: 'qr', title: 'QR', data, text: 'caption' },
      })
      // A reader wants three dots a module and more, and white around the code.
      const enlarged = enlarge(frame, panel.height < 160 ? 4 : 2)
      t.equal(decodeQR(enlarged), data, `${panel.width}x${panel.height}`)
    }
  }
})

function enlarge({ width, height, pixels }: Frame, times: number) {
  const data = new Uint8Array(width * times * height * times * 4)
  for (let y = 0; y < height * times; y++) {
    for (let x = 0; x < width * times; x++) {
      const pixel = pixels[Math.floor(y / times) * width + Math.floor(x / times)]!
      const at = (y * width * times + x) * 4
      data[at] = (pixel >> 11) << 3
      data[at + 1] = ((pixel >> 5) & 63) << 2
      data[at + 2] = (pixel & 31) << 3
      data[at + 3] = 255
    }
  }
  return { width: width * times, height: height * times, data }
}

t.test('an app cannot touch the top row: it is the same whatever the app shows', async (t) => {
  const renderer = createRenderer(PANELS[3]!, font, texts)
  const rows = divide(PANELS[3]!, true).status.height * 240
  const base = samples['en-list']!
  const expected = Buffer.from(renderer.render(base).frame.pixels.slice(0, rows).buffer)
  for (let seed = 1; seed <= 100; seed++) {
    const content = randomScreen(seed)
    const { state: _, ...rest } = base
    t.ok(
      Buffer.from(renderer.render({ ...rest, content }).frame.pixels.slice(0, rows).buffer).equals(expected),
    )
  }
})

t.test('random screens under random keys never throw on any panel, and their words are theirs', async (t) => {
  const check = checker(Screen)
  for (let seed = 1; seed <= 120; seed++) {
    const screen = randomScreen(seed)
    t.equal(check(screen), undefined, 'the generator makes valid screens')
    walkScreen(screen, PANELS[seed % PANELS.length]!, seed, 8)
  }
})

t.test('the PIN screen shows bullets by number only', async (t) => {
  const renderer = createRenderer(PANELS[3]!, font, texts)
  const scene = samples['en-pin'] as Scene
  const { alt } = renderer.render(scene)
  t.match(alt, [
    '[Secure] 14:05 · network online · cloud connected · printer ready · battery 82 %',
    'Enter PIN',
    '€1,250.00',
  ])
  t.ok(alt.includes('••••'))
})

t.test('a clip holds everything in, and smooth edges mix with what lies below', async (t) => {
  const canvas = new Canvas(40, 40, font, true)
  canvas.within({ x: 10, y: 10, width: 10, height: 10 }, () => {
    canvas.fill({ x: -5, y: -5, width: 100, height: 100 }, 1)
    canvas.text(0, 0, 'WWWWW中', { colour: 2, scale: 3 })
    canvas.disc(-3, -3, 50, 3)
    canvas.stroke(-10, -10, 60, 60, 9, 4)
  })
  for (let y = 0; y < 40; y++) {
    for (let x = 0; x < 40; x++) {
      const inside = x >= 10 && x < 20 && y >= 10 && y < 20
      if (!inside && canvas.pixels[y * 40 + x] !== 0) t.fail(`pixel ${x},${y} outside the clip`)
    }
  }
  const soft = new Canvas(40, 40, font, true)
  soft.disc(2, 2, 30, rgb(255, 255, 255))
  t.ok(new Set(soft.pixels).size > 2)
  const hard = new Canvas(40, 40, font, false)
  hard.disc(2, 2, 30, rgb(255, 255, 255))
  t.equal(new Set(hard.pixels).size, 2)
})

t.test('text is cut with an ellipsis and wrapped as each script asks', async (t) => {
  t.equal(truncate(font, 'Lindenstrasse', 80), 'Lindenstr…')
  t.equal(truncate(font, 'short', 80), 'short')
  t.equal(truncate(font, 'x', 4), '')
  t.strictSame(wrap(font, 'the quick brown fox', 80), ['the quick', 'brown fox'])
  t.strictSame(wrap(font, 'incomprehensibilities', 80), ['incomprehe', 'nsibilitie', 's'])
  t.strictSame(
    wrap(font, '银行拒绝：余额不足。', 64),
    ['银行拒', '绝：余额', '不足。'],
    'no line begins with a colon',
  )
  t.strictSame(wrap(font, 'one\ntwo', 80), ['one', 'two'])
  t.strictSame(wrap(font, 'a b c d e f g h', 40, 2), ['a b c', 'd e…'])
  for (const line of wrap(font, 'A mixed 混合文本 line, quite long 很长很长很长', 88))
    t.ok(font.measure(line) <= 88)
})

t.test('the README names every kind of screen', async (t) => {
  const readme = readFileSync(join(packageRoot, 'runtime/secure/screens/README.md'), 'utf8')
  for (const kind of [
    'list',
    'menu',
    'form',
    'amount',
    'message',
    'confirm',
    'progress',
    'qr',
    'receipt',
    'details',
  ])
    t.ok(readme.includes(`\`${kind}\``), kind)
})
