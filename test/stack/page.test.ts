// The handheld's page in Chromium: a parcel paid by hand, pixel for pixel what the hardware shows.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inflateRawSync } from 'node:zlib'
import { type Browser, chromium, type Page } from 'playwright-core'
import t from 'tap'
import { systemClock } from '../../hal/base/clock.js'
import { startTerminal } from '../../scripts/dev/supervisor/terminal.js'

const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const browserPath = BROWSERS.find((path) => existsSync(path))
const WAIT_MS = 60_000

/** What a watcher of `/api/events` is told first: the frame on the glass, and the paper that hangs out. */
async function told(address: string): Promise<{ frame: Buffer; paper: Buffer }> {
  const stop = new AbortController()
  const response = await fetch(`${address}api/events`, { signal: stop.signal })
  const decoder = new TextDecoder()
  let text = ''
  let frame: Buffer | undefined
  try {
    const reader = response.body!.getReader()
    // The paper, if there is any, comes in the same breath as the screen.
    for (let late = false; !late; ) {
      const next = await Promise.race([reader.read(), systemClock.sleep(300).then(() => undefined)])
      if (next?.value !== undefined) text += decoder.decode(next.value, { stream: true })
      late = next === undefined
    }
  } finally {
    stop.abort()
  }
  const papers: Buffer[] = []
  for (const part of text.split('\n\n')) {
    const data = /^event: (screen|paper)\ndata: (.*)$/s.exec(part)
    if (data === null) continue
    const value = JSON.parse(data[2]!) as { pixels?: string; rows?: string }
    if (value.pixels !== undefined) frame = inflateRawSync(Buffer.from(value.pixels, 'base64'))
    if (value.rows !== undefined) papers.push(inflateRawSync(Buffer.from(value.rows, 'base64')))
  }
  if (frame === undefined) throw new Error('no frame was told')
  return { frame, paper: Buffer.concat(papers) }
}

/** Scripts for the page: the glass as RGB565 words again, and the paper's rows as the printer burned them. */
const GLASS = `(() => {
  const canvas = document.querySelector('#screen')
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  const words = new Uint16Array(canvas.width * canvas.height)
  const level = (value, top) => Math.round((value * top) / 255)
  for (let i = 0; i < words.length; i++)
    words[i] = (level(data[i * 4], 31) << 11) | (level(data[i * 4 + 1], 63) << 5) | level(data[i * 4 + 2], 31)
  return [...new Uint8Array(words.buffer)]
})()`
const PAPER = `(() => {
  const canvas = document.querySelector('#paper')
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  const rows = new Uint8Array((canvas.width / 8) * canvas.height)
  for (let i = 0; i < canvas.width * canvas.height; i++) if (data[i * 4] < 128) rows[i >> 3] |= 0x80 >> (i & 7)
  return [...rows]
})()`
const SEEN = `(() => {
  const box = (selector) => document.querySelector(selector).getBoundingClientRect()
  scrollTo(0, 0)
  return {
    top: box('#device').top,
    card: box('#seated .card').bottom,
    dot: box('#screen').width / 240,
    wide: document.documentElement.scrollWidth,
  }
})()`
const glassOf = async (page: Page) => Buffer.from(await page.evaluate<number[]>(GLASS))
const paperOf = async (page: Page) => Buffer.from(await page.evaluate<number[]>(PAPER))

t.setTimeout(290_000)
if (browserPath === undefined) {
  t.test("the handheld's page in Chromium", { skip: 'Chromium is not installed' }, () => Promise.resolve())
} else {
  const folder = mkdtempSync(join(tmpdir(), 'postern-page-'))
  const pictures = mkdtempSync(join(tmpdir(), 'postern-pictures-'))
  const terminal = await startTerminal({
    dataDir: folder,
    board: 'virtual-handheld',
    port: 0,
    hostMs: 10_000,
    logLevel: 'warn',
    tell: (line) => t.comment(line),
  })
  let browser: Browser | undefined
  t.teardown(async () => {
    await browser?.close()
    await terminal.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  browser = await chromium.launch({
    executablePath: browserPath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
  const page = await browser.newPage({ viewport: { width: 1366, height: 768 } })
  page.setDefaultTimeout(WAIT_MS)
  const faults: string[] = []
  const asked = new Set<string>()
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text())
  })
  page.on('request', (request) => asked.add(new URL(request.url()).origin))
  const picture = (name: string) => page.screenshot({ path: join(pictures, `${name}.png`) })
  t.comment(`screenshots: ${pictures}`)

  /** Waits until the screen reader's words hold all of `parts`. */
  const reads = async (...parts: string[]) => {
    for (const part of parts) await page.locator('#words', { hasText: part }).waitFor({ state: 'attached' })
  }
  const click = async (keys: readonly string[]) => {
    for (const key of keys) await page.click(`[data-key="${key}"]`)
  }
  /** Polls until the page shows what the hardware shows, at most five seconds. */
  const samePixels = async () => {
    for (let tries = 0; tries < 10; tries++) {
      const { frame } = await told(terminal.page)
      if (frame.equals(await glassOf(page))) return new Set(new Uint16Array(frame.buffer, frame.byteOffset))
    }
    return undefined
  }

  await t.test('a parcel is paid by hand: keyboard, clicked keys, dragged card, paper', async (t) => {
    await page.goto(terminal.page)
    await reads('Sign in to begin')
    t.ok(((await samePixels())?.size ?? 0) > 3, 'the canvas is the frame, and a picture')
    t.ok(await page.isVisible('#intro'), 'a first-time hint')
    await page.click('#introClose')
    t.notOk(await page.isVisible('#intro'))

    await page.keyboard.press('Enter')
    await reads('operator number')
    await page.keyboard.type('1002')
    await reads('1002')
    await page.keyboard.press('Backspace')
    await page.keyboard.type('1')
    await reads('1001')
    await page.keyboard.press('Enter')
    await reads('Code of')
    await click(['1', '1', '1', '1', 'enter'])
    await reads('Today 0 of 10', 'Anna Schmidt')
    await page.keyboard.press('ArrowDown')
    await reads('> 2')
    await page.keyboard.press('ArrowUp')
    await reads('> 1 Anna Schmidt')
    t.ok(await samePixels(), 'pixel for pixel after scrolling')
    await picture('list')
    await click(['enter'])
    await reads('Collect €24.50')
    await page.keyboard.press('Enter')
    await reads('Insert card')

    await page.dragAndDrop('#cards-everyday [data-card="credit-pin"]', '#slot')
    await page.waitForSelector('#seated [data-card="credit-pin"]')
    t.equal(await page.getAttribute('#cards-everyday [data-card="credit-pin"]', 'aria-pressed'), 'true')
    await reads('Enter PIN')
    await page.waitForSelector('#light-secure.on')
    await click(['1', '2', '3'])
    await reads('•••')
    t.notMatch(await page.textContent('#words'), /123/, 'a PIN is never spoken')
    t.notMatch(await page.getAttribute('#screen', 'aria-label'), /123/)
    t.ok(await samePixels(), 'pixel for pixel with bullets')
    await picture('pin')
    await click(['4', 'enter'])
    await reads('Approved')
    await picture('approved')
    await page.click('#seated [data-card="credit-pin"]')
    await page.waitForSelector('#seated [data-card]', { state: 'detached' })
    await reads("courier's copy")
    await page.keyboard.press('Enter')
    await reads('Today 1 of 10')
    await page.waitForSelector('#light-secure.off')
  })

  await t.test('the paper is what the printer burned, dot by dot, and is saved as PNG', async (t) => {
    const { paper } = await told(terminal.page)
    t.ok(paper.length / 48 > 400, 'two receipts long')
    t.ok(paper.equals(await paperOf(page)))
    const saving = page.waitForEvent('download')
    await page.click('#save')
    const png = readFileSync(await (await saving).path())
    t.equal(png.toString('latin1', 1, 4), 'PNG')
    t.same([png.readUInt32BE(16), png.readUInt32BE(20)], [384, paper.length / 48])
    await page.locator('#paperWords', { hasText: 'APPROVED' }).waitFor({ state: 'attached' })
    await picture('paper')
    await page.click('#tear')
    await page.waitForSelector('#blank')
    t.equal((await told(terminal.page)).paper.length, 0)
  })

  await t.test('switches: network, scanner label, battery, paper out, lost device', async (t) => {
    const status = (part: string) => page.waitForSelector(`#screen[aria-label*="${part}"]`)
    await page.uncheck('#network')
    await status('no network')
    t.ok(await samePixels(), 'the status row too')
    await page.check('#network')
    await status('network online')
    await page.click('#chips button:has-text("Jonas Becker")')
    await reads('Waybill: PH-100003')
    await page.keyboard.press('Escape')
    await reads('Today 1 of 10')
    await page.fill('#battery', '14')
    await status('battery 14 %')
    await page.click('summary:has-text("Printer")')
    await page.check('[data-fault="paperOut"]')
    await status('printer needs attention')
    await page.uncheck('[data-fault="paperOut"]')
    await status('printer ready')
    await page.click('summary:has-text("Break something")')
    await page.check('[data-device="scanner"]')
    await page.waitForSelector('[data-device="scanner"]:checked')
    await page.uncheck('[data-device="scanner"]')
    await page.click('summary:has-text("trouble")')
    t.equal(await page.isVisible('[data-card="stolen"]'), true)
    await picture('switches')
  })

  await t.test('power cut and on', async (t) => {
    await page.click('#cut')
    await page.waitForSelector('#dark')
    await page.waitForSelector('#worlds .runs', { state: 'detached' })
    t.same([...((await samePixels()) ?? [])], [0], 'the glass is black')
    await picture('dark')
    await page.click('#darkOn')
    await reads('Sign in to begin')
    t.ok(((await samePixels())?.size ?? 0) > 3)
  })

  await t.test(
    'a card is swiped: dragged through the groove, and chosen from the list by keyboard',
    async (t) => {
      await page.keyboard.press('Enter')
      await reads('operator number')
      for (const text of ['1001', '1111']) {
        await page.keyboard.type(text)
        await page.keyboard.press('Enter')
      }
      await reads('Today 1 of 10')
      await page.click('#chips button:has-text("Fatima")')
      await reads('Waybill: PH-100005')
      await click(['enter'])
      await reads('Insert card')
      await page.dragAndDrop('#cards-everyday [data-card="credit-pin"]', '#groove')
      await reads('This card has a chip')
      await picture('use-chip')
      await page.focus('#swipeCard')
      await page.selectOption('#swipeCard', 'stripe-only')
      await page.selectOption('#swipeHow', 'bad')
      await page.keyboard.press('Tab')
      await page.keyboard.press('Tab')
      await page.keyboard.press('Enter')
      await reads('The stripe was not read')
      await picture('swipe-again')
      await page.selectOption('#swipeHow', 'clean')
      await page.click('#swipe button')
      await reads("courier's copy")
      t.equal(await page.locator('#seated [data-card]').count(), 0, 'nothing is left in the slot')
      await click(['enter'])
      await reads('Today 2 of 10')
    },
  )

  await t.test('the whole handheld is in sight, a dot a whole number of dots', async (t) => {
    const SIZES = [
      { width: 1366, height: 768, scale: 1 },
      { width: 1440, height: 900, scale: 1.5 },
      { width: 820, height: 1180, scale: 1 },
      { width: 390, height: 844, scale: 3 },
    ]
    for (const { width, height, scale } of SIZES) {
      const context = await browser!.newContext({
        viewport: { width, height },
        deviceScaleFactor: scale,
        // The card is measured where it comes to rest, not while it slides in.
        reducedMotion: 'reduce',
      })
      const other = await context.newPage()
      await other.goto(terminal.page)
      await other.click('[data-card="debit-signature"]')
      await other.waitForSelector('#seated [data-card]')
      const seen = await other.evaluate<{ top: number; card: number; dot: number; wide: number }>(SEEN)
      const name = `${width}x${height} at ${scale}`
      t.ok(seen.top >= 0 && seen.card <= height, `${name}: lights to card`)
      t.ok(seen.wide <= width, `${name}: nothing beside the window`)
      const dots = seen.dot * scale
      t.ok(Math.abs(dots - Math.round(dots)) < 0.01 && dots > 0.9, `${name}: ${dots} dots a dot`)
      await other.screenshot({ path: join(pictures, `${width}x${height}.png`) })
      await other.click('#seated .card')
      await other.waitForSelector('#seated .card', { state: 'detached' })
      await context.close()
    }
    await page.check('#large')
    t.equal((await page.locator('#screen').boundingBox())?.width, 480, 'the large screen is twice as large')
    await page.uncheck('#large')
  })

  await t.test('nothing went wrong in the page, and nobody else was asked', async (t) => {
    t.same(faults, [])
    t.same(
      [...asked].filter((origin) => origin !== new URL(terminal.page).origin && origin !== 'null'),
      [],
    )
  })
}
