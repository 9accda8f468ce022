// Renders every sample scene to PNG for people to look at: node dist/scripts/dev/screens/main.js FOLDER [WxH[x1] ...]
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadFont } from '../../../hal/base/font/font.js'
import { pngOfRgb565 } from '../../../hal/base/png.js'
import { createRenderer } from '../../../runtime/secure/screens/renderer.js'
import { loadTexts } from '../../../runtime/secure/texts.js'
import { samples } from './samples.js'

const [folder = '.postern/gallery', ...sizes] = process.argv.slice(2)
const font = loadFont()
const texts = loadTexts()
for (const size of sizes.length > 0 ? sizes : ['240x320', '128x64x1', '480x800']) {
  const [width = 240, height = 320, depth = 16] = size.split('x').map(Number)
  const renderer = createRenderer({ width, height, depth: depth === 1 ? 1 : 16, dpi: 160 }, font, texts)
  mkdirSync(join(folder, size), { recursive: true })
  for (const [name, scene] of Object.entries(samples)) {
    const { frame, alt } = renderer.render(scene)
    writeFileSync(join(folder, size, `${name}.png`), pngOfRgb565(frame))
    writeFileSync(join(folder, size, `${name}.txt`), `${alt.join('\n')}\n`)
  }
}
console.log(`${Object.keys(samples).length} scenes in ${folder}`)
