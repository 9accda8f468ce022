// Takes the README's picture: a terminal of its own, one parcel paid, the next one's payment approved.
// After a build: node dist/scripts/dev/handheld/picture.js [FILE], docs/handheld.png without one.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { chromium } from 'playwright-core'
import { packageRoot } from '../../../hal/base/package-root.js'
import { startTerminal } from '../supervisor/terminal.js'

const path = process.argv[2] ?? join(packageRoot, 'docs', 'handheld.png')
const folder = mkdtempSync(join(tmpdir(), 'postern-picture-'))
const terminal = await startTerminal({
  dataDir: folder,
  board: 'virtual-handheld',
  port: 0,
  hostMs: 10_000,
  logLevel: 'warn',
  tell: console.log,
})
const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
})
try {
  const page = await browser.newPage({ viewport: { width: 1366, height: 768 }, colorScheme: 'light' })
  page.setDefaultTimeout(30_000)
  await page.goto(terminal.page)
  await page.click('#introClose')
  const reads = (text: string) => page.locator('#words', { hasText: text }).waitFor({ state: 'attached' })
  /** Screen by screen: what it reads, then what is typed or clicked. */
  const steps: readonly (readonly [string, string])[] = [
    ['Sign in to begin', 'Enter'],
    ['operator number', '1001 Enter'],
    ['Code of', '1111 Enter'],
    ['Today 0 of 10', 'Enter'],
    ['To collect: €24.50', 'Enter'],
    ['Insert card', '[data-card="credit-pin"]'],
    ['Enter PIN', '1234 Enter'],
    ['Approved', '#seated .card'],
    ["courier's copy", 'Escape'],
    ['Today 1 of 10', '[title*="PH-100002"]'],
    ['To collect: €88.00', 'Enter'],
    ['Insert card', '[data-card="credit-pin"]'],
    ['Enter PIN', '1234 Enter'],
    ['Approved', ''],
  ]
  for (const [text, hands] of steps) {
    await reads(text)
    if (/^[#[]/.test(hands)) await page.click(hands)
    else
      for (const word of hands.split(' ')) {
        if (/^\d+$/.test(word)) await page.keyboard.type(word)
        else if (word !== '') await page.keyboard.press(word)
      }
  }
  mkdirSync(dirname(path), { recursive: true })
  await page.mouse.move(0, 0)
  await page.waitForTimeout(500)
  await page.screenshot({ path })
  console.log(path)
} finally {
  await browser.close()
  await terminal.stop()
  rmSync(folder, { recursive: true, force: true })
}
