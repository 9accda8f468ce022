// Receipts: what must be on them, how they fit the paper, and that the printer prints what was meant.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ReceiptPrinterEncoder from '@point-of-sale/receipt-printer-encoder'
import t from 'tap'
import { systemClock } from '../../../hal/base/clock.js'
import { joinArabic } from '../../../hal/base/font/arabic-forms.js'
import { loadFont } from '../../../hal/base/font/font.js'
import { measureShaped, runsRightToLeft, visualOrder } from '../../../hal/base/font/visual-order.js'
import { silentLog } from '../../../hal/base/log.js'
import { packageRoot } from '../../../hal/base/package-root.js'
import { pngOfRows } from '../../../hal/base/png.js'
import { cutJob } from '../../../hal/drivers/escpos/cut-job.js'
import { PRINTER_PROFILES } from '../../../hal/drivers/escpos/profiles.js'
import { EscposMachine } from '../../../hal/simulated/escpos-machine.js'
import { checker } from '../../../runtime/api/contract.js'
import { ReceiptFacts } from '../../../runtime/api/payments.js'
import { PrintDocument } from '../../../runtime/api/print-document.js'
import { encodeDocument, encodeJob } from '../../../runtime/open/receipts/encode.js'
import { layOut } from '../../../runtime/open/receipts/layout.js'
import { logoBlock } from '../../../runtime/open/receipts/logo.js'
import { createPrintService } from '../../../runtime/open/receipts/print-service.js'
import { receiptDocument } from '../../../runtime/open/receipts/receipt-document.js'
import { loadReceiptTexts } from '../../../runtime/open/receipts/receipt-texts.js'
import { documentPng, plainLines } from '../../../runtime/open/receipts/render.js'
import { printerBench } from '../../hal/drivers/escpos-bench.js'

const font = loadFont()
const texts = loadReceiptTexts()
const NARROW = PRINTER_PROFILES['58mm'].capabilities

const FACTS: ReceiptFacts = {
  merchant: {
    name: 'Café Müller Couriers',
    address: ['12 Harbour Street', 'Dublin 2'],
    merchantId: '000000012345678',
    terminalId: 'T0000042',
  },
  type: 'sale',
  outcome: 'approved',
  amount: { minor: '4250', currency: 'EUR' },
  at: '2026-11-22T05:30:11+00:00',
  reference: 'PX-2026-000183',
  operator: '1042',
  stan: '000017',
  receiptNumber: '000009',
  responseCode: '00',
  authorisationCode: 'A1B2C3',
  card: {
    label: 'TESTCARD CREDIT',
    aid: 'A0000009991010',
    panLast4: '4242',
    panSequence: '01',
    entryMode: 'chip',
    cvm: 'pin',
    cryptogram: '9F26AA55AA55AA55',
    cryptogramType: 'TC',
    tvr: '0000008000',
    tsi: 'E800',
    atc: '0042',
  },
}
const CHINESE: ReceiptFacts = {
  ...FACTS,
  merchant: { ...FACTS.merchant, name: '顺达快递', address: ['上海市浦东新区世纪大道100号'] },
  amount: { minor: '12800', currency: 'CNY' },
  card: { ...FACTS.card!, label: '测试信用卡', cvm: 'signature' },
}

const ARABIC: ReceiptFacts = {
  ...FACTS,
  merchant: { ...FACTS.merchant, name: 'شركة التوصيل السريع', address: ['شارع الشيخ زايد 12', 'دبي'] },
  amount: { minor: '12800', currency: 'AED' },
  card: { ...FACTS.card!, label: 'بطاقة اختبار' },
}

/** Where pictures go for people to look at: CI keeps none, a developer finds them in .postern. */
const PICTURES = join(packageRoot, '.postern', 'test-receipts')
const keep = (name: string, png: Uint8Array) => {
  mkdirSync(PICTURES, { recursive: true })
  writeFileSync(join(PICTURES, name), png)
}

/** What a machine of that head prints of these bytes. */
async function onPaper(
  bytes: Uint8Array,
  dots: number,
): Promise<{ machine: EscposMachine; rows: readonly Uint8Array[] }> {
  const machine = new EscposMachine({
    clock: systemClock,
    glyphs: font,
    dots,
    rowsPerSecond: 1e9,
    bufferBytes: 1 << 20,
  })
  const done = new Promise<void>((resolve) => {
    machine.on((event) => {
      if (event.type === 'transmit') resolve()
    })
  })
  machine.receive(bytes)
  machine.receive(Uint8Array.of(0x1d, 0x72, 1))
  await done
  machine.close()
  return { machine, rows: machine.paper() }
}

t.test('an approved receipt says everything that it must', async (t) => {
  t.equal(checker(ReceiptFacts)(FACTS), undefined)
  const document = receiptDocument(FACTS, { copy: 'customer', locale: 'en', reprint: false }, texts)
  t.equal(checker(PrintDocument)(document), undefined)
  const lines = plainLines(document)
  const all = lines.join('\n')
  for (const needed of [
    'Café Müller Couriers',
    '12 Harbour Street',
    '000000012345678',
    'T0000042',
    '2026-11-22',
    '05:30:11',
    'SALE',
    'EUR 42.50',
    'A0000009991010',
    'TESTCARD CREDIT',
    '**** **** **** 4242',
    'Verified by PIN',
    'A1B2C3',
    'Chip',
    'CUSTOMER COPY',
    '000009',
    '000017',
    '1042',
    'PX-2026-000183',
    '9F26AA55AA55AA55',
    '0000008000',
  ])
    t.match(all, needed)
  t.notMatch(all, 'REPRINT')
  t.ok(
    lines.every((line) => [...line].length <= 32),
    'fits 32 columns',
  )
})

t.test('copies, signature, reprint, decline, void and reversal say what they are', async (t) => {
  const say = (facts: ReceiptFacts, copy: 'customer' | 'merchant', reprint = false) =>
    plainLines(receiptDocument(facts, { copy, locale: 'en', reprint }, texts)).join('\n')
  const signed = { ...FACTS, card: { ...FACTS.card!, cvm: 'signature' as const } }
  t.match(say(signed, 'merchant'), '____________')
  t.notMatch(say(signed, 'customer'), '____________')
  t.match(say(FACTS, 'merchant', true), '*** REPRINT ***')
  const declined = say(
    { ...FACTS, outcome: 'declined', reason: 'Not enough money on the account', responseCode: '51' },
    'customer',
  )
  t.match(declined, 'DECLINED')
  t.match(declined.replace(/\s+/g, ' '), 'Reason: Not enough money on the account')
  t.match(declined, 'Nothing was taken')
  t.match(say({ ...FACTS, outcome: 'declined' }, 'customer').replace(/\s+/g, ' '), 'by the card or its bank')
  t.match(say({ ...FACTS, type: 'void' }, 'customer'), 'VOID OF A SALE')
  t.match(say({ ...FACTS, outcome: 'reversed' }, 'customer').replace(/\s+/g, ' '), 'taken back')
  const { card: _card, ...cash } = FACTS
  t.notMatch(say(cash, 'customer'), '****')
  t.match(
    plainLines(receiptDocument(FACTS, { copy: 'customer', locale: 'zh-CN', reprint: false }, texts)).join(),
    '交易成功',
  )
  t.match(
    plainLines(receiptDocument(FACTS, { copy: 'customer', locale: 'sw', reprint: false }, texts)).join(),
    'APPROVED',
  )
})

const arabic = (text: string) => [...text].map((c) => c.codePointAt(0)!.toString(16)).join(' ')
t.test('Arabic is joined, right-to-left text is turned, numbers in it are not', (t) => {
  // Shapes of UAX #9 and Unicode chapter 9.2: s-l-alef-m joins as initial, lam-alef (final), isolated.
  t.equal(arabic(joinArabic('سلام')), 'feb3 fefc fee1')
  t.equal(arabic(joinArabic('ببب')), 'fe91 fe92 fe90')
  t.equal(arabic(joinArabic('دار')), 'fea9 fe8d fead', 'letters that join on one side only')
  t.equal(arabic(joinArabic('بَب')), 'fe91 64e fe90', 'a mark does not break a join')
  t.equal(arabic(joinArabic('پی')), 'fb58 fbfd', 'Persian')
  t.equal(
    arabic(joinArabic('می\u200cخ')),
    'fee3 fbfd 62e'.replace('62e', 'fea5'),
    'the non-joiner is used up',
  )
  t.equal(visualOrder('abc', false), 'abc')
  t.equal(visualOrder('אב 12 (ג)', true), '(ג) 12 בא')
  t.equal(visualOrder('Total אב', false), 'Total בא')
  t.equal(arabic(visualOrder('بَ', true)), 'fe8f 64e', 'the mark stands behind its letter again')
  t.equal(visualOrder('कि', false), '\u093f\u0915')
  t.equal(runsRightToLeft('12 نقد'), true)
  t.equal(runsRightToLeft('12 EUR نقد'), false)

  const [row, centred, block] = layOut(
    {
      blocks: [
        { kind: 'row', left: 'التاريخ', right: '2026-11-22' },
        { kind: 'text', text: 'مقبول', align: 'center' },
        { kind: 'text', text: 'شكرا \u202e12' },
      ],
    },
    32,
    (text) => measureShaped(font, text) / 8,
  )
  t.match(row, { rtl: true, align: 'left' })
  const shown = row?.kind === 'text' ? visualOrder(row.text, row.rtl) : ''
  t.ok(shown.startsWith('2026-11-22 '), 'the value is left, and the parts of the date did not change places')
  t.equal([...shown].length, 32)
  t.match(centred, { rtl: true, align: 'center' })
  t.match(block, { rtl: true, align: 'right', text: 'شكرا 12' }, 'orders to turn text are taken out')
  const bytes = encodeDocument({ blocks: [{ kind: 'text', text: 'مقبول' }] }, NARROW, font)
  t.match(Buffer.from(bytes).toString('latin1'), '\x1dv0', 'drawn')
  t.end()
})

t.test('the printer prints the receipt as the preview shows it', async (t) => {
  for (const [name, facts, locale, copy] of [
    ['en', FACTS, 'en', 'customer'],
    ['zh', CHINESE, 'zh', 'merchant'],
    ['ar', ARABIC, 'ar', 'customer'],
    [
      'declined',
      { ...FACTS, outcome: 'declined', reason: 'Not enough money on the account' },
      'en',
      'customer',
    ],
  ] as const) {
    const document = receiptDocument(facts, { copy, locale, reprint: false }, texts)
    for (const profile of ['58mm', '80mm', '58mm-raster'] as const) {
      const { capabilities } = PRINTER_PROFILES[profile]
      const bytes = encodeDocument(document, capabilities, font)
      t.doesNotThrow(() => cutJob(bytes, 512), 'the driver can fence it')
      const { machine, rows } = await onPaper(bytes, capabilities.dots)
      t.same(machine.refusals, [], `${name} on ${profile}`)
      t.equal(machine.counters.unknownCommands, 0)
      t.ok(rows.length > 600)
      keep(`${name}-${profile}.png`, pngOfRows(rows, capabilities.dots, 16))
    }
    keep(`${name}-preview.png`, documentPng(document, 384, font))
  }
})

t.test('text goes in a code page where one has it, as a picture where none has', async (t) => {
  const encode = (text: string) =>
    Buffer.from(encodeDocument({ blocks: [{ kind: 'text', text }] }, NARROW, font)).toString('latin1')
  t.match(encode('plain'), 'plain\n')
  t.match(encode('12,50 €'), '\x1bt\x1012,50 \x80\n', 'windows-1252 for the euro')
  t.match(encode('Żółw'), '\x1bt\x12', 'CP852 for Polish')
  t.match(encode('Привет'), '\x1bt\x11', 'CP866 for Russian')
  t.match(encode('快递'), '\x1dv0', 'a picture for Chinese')
  t.match(encode('really?'), 'really?\n', 'a question mark is not a missing character')
  t.notOk(encode('a\x1b@b\x10\x04\x01').includes('b\x10'), 'an app can not speak to the printer')
})

t.test('a logo stands above the name, in the middle, shrunk where the paper is too narrow', async (t) => {
  // A black frame of 480 x 40 dots, as netpbm writes it.
  const rows = Array.from({ length: 40 }, (_, y) =>
    Uint8Array.from({ length: 60 }, (_, x) =>
      y < 4 || y > 35 ? 0xff : x === 0 ? 0xf0 : x === 59 ? 0x0f : 0,
    ),
  )
  const file = Buffer.concat([Buffer.from('P4\n# frame\n480 40\n'), ...rows])
  const logo = logoBlock(file)!
  t.equal(checker(PrintDocument)({ blocks: [logo] }), undefined)
  t.equal(logoBlock(file.subarray(0, 100)), undefined, 'cut short')
  t.equal(logoBlock(Buffer.from('P4 9999 9999 ')), undefined)
  t.equal(logoBlock(Buffer.from('P1 8 1 0')), undefined)
  const document = receiptDocument(FACTS, { copy: 'customer', locale: 'en', reprint: false, logo }, texts)
  t.same(document.blocks[0], logo)
  for (const [profile, width, height] of [
    ['80mm', 480, 40],
    ['58mm', 240, 20],
  ] as const) {
    const { capabilities } = PRINTER_PROFILES[profile]
    const bytes = encodeDocument(document, capabilities, font)
    t.doesNotThrow(() => cutJob(bytes, 512))
    const printed = await onPaper(bytes, capabilities.dots)
    const first = printed.rows[0]!
    const black = [...first].reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
    t.equal(black, width)
    t.equal(
      first.findIndex((byte) => byte !== 0),
      (capabilities.dots - width) / 16,
      'in the middle',
    )
    t.same(printed.rows[height - 1], first, 'the lower edge')
    keep(`logo-${profile}.png`, pngOfRows(printed.rows, capabilities.dots, 16))
  }
})

t.test('every kind of printer has the code page numbers of its maker', async (t) => {
  // The library's own tables, by the maker's name, say where each of our pages is.
  const makers = {
    'epson-tm-m30': 'epson',
    'epson-tm-t88iv': 'epson/legacy',
    'citizen-ct-s310': 'citizen',
    'star-escpos': 'star',
    'bixolon-srp350': 'bixolon',
    'pos-5890': 'pos-5890',
    'xprinter-80': 'xprinter',
    'sunmi-58': 'sunmi',
    'mechanism-58': 'youku',
  } as const
  for (const [profile, maker] of Object.entries(makers)) {
    const { codePages } = PRINTER_PROFILES[profile as keyof typeof makers].capabilities
    for (const [page, number] of Object.entries(codePages)) {
      const encoder = new ReceiptPrinterEncoder({ language: 'esc-pos', columns: 32, codepageMapping: maker })
      const bytes = encoder
        .codepage(page as 'cp437')
        .text('é ж ş Σ')
        .encode()
      t.match(
        Buffer.from(bytes).toString('latin1'),
        `\x1bt${String.fromCharCode(number)}`,
        `${profile} ${page}`,
      )
    }
  }
})

t.test('codes fit the paper', async (t) => {
  const blocks = [
    { kind: 'barcode', data: 'PX-2026-000183' },
    { kind: 'barcode', data: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.+~!' },
    { kind: 'barcode', data: '12345678901234567890123456789012' },
    { kind: 'qr', data: 'https://receipts.example/r/8f2c0b7e' },
    { kind: 'qr', data: 'x'.repeat(600) },
  ] as const
  for (const profile of ['58mm', '58mm-raster'] as const) {
    const { capabilities } = PRINTER_PROFILES[profile]
    const { machine, rows } = await onPaper(encodeDocument({ blocks: [...blocks] }, capabilities, font), 384)
    t.same(machine.refusals, [], 'nothing was too wide')
    keep(`codes-${profile}.png`, pngOfRows(rows, 384, 16))
  }
})

t.test('the service prints one after the other and tells what to mend', async (t) => {
  const bench = await printerBench({ rowsPerSecond: 8000 })
  const service = createPrintService({
    printer: bench.printer,
    font,
    texts,
    clock: systemClock,
    log: silentLog,
  })
  t.teardown(async () => {
    service.close()
    await bench.close()
  })
  const summaries: string[] = []
  service.onSummary((summary) => summaries.push(summary))
  t.equal(service.summary(), 'ready')
  const note = (text: string) => ({ blocks: [{ kind: 'text' as const, text }] })
  t.same(await Promise.all([service.print(note('one')), service.print(note('two'))]), [
    { outcome: 'printed' },
    { outcome: 'printed' },
  ])
  bench.machine.tearOff()

  const printing = service.receipt(FACTS, { copy: 'customer', locale: 'en' })
  while (bench.machine.paper().length < 200) await systemClock.sleep(2)
  bench.machine.setFault('paperOut', true)
  t.match(await printing, { outcome: 'paperOut' })
  t.equal(service.summary(), 'problem')
  t.same(await service.print(note('three')), { outcome: 'paperOut' })
  bench.machine.setFault('paperOut', false)
  await bench.until((printer) => printer.status().state === 'ready')
  bench.machine.tearOff()
  t.same(await service.receipt(FACTS, { copy: 'customer', locale: 'en' }), { outcome: 'printed' })
  const again = bench.machine.tearOff().length
  const other = { ...FACTS, receiptNumber: '000010' }
  t.same(await service.receipt(other, { copy: 'customer', locale: 'en' }), { outcome: 'printed' })
  t.equal(bench.machine.tearOff().length, again - 30, 'half a copy is a copy: the next one says REPRINT')
  t.same(await service.receipt(other, { copy: 'customer', locale: 'en' }), { outcome: 'printed' })
  t.equal(bench.machine.tearOff().length, again, 'so does one after a whole copy')

  bench.machine.setFault('paperLow', true)
  await bench.until((printer) => printer.paperLow())
  t.equal(service.summary(), 'paperLow')
  t.ok(summaries.includes('problem') && summaries.includes('paperLow'))

  const hot = service.print(note('hot\n'.repeat(90)))
  bench.machine.setFault('headHot', true)
  await bench.until((printer) => printer.status().state === 'headHot')
  bench.machine.setFault('headHot', false)
  t.same(await hot, { outcome: 'printed' }, 'a hot head is waited for')
})

t.test('a job that was interrupted goes on where it stopped: no line is missing', async (t) => {
  const bench = await printerBench({ rowsPerSecond: 3000 })
  const service = createPrintService({
    printer: bench.printer,
    font,
    texts,
    clock: systemClock,
    log: silentLog,
  })
  t.teardown(async () => {
    service.close()
    await bench.close()
  })
  // What the printer is given, so that lines can be told apart; the machine paints them.
  const lines = Array.from({ length: 120 }, (_, n) => `parcel ${String(n).padStart(4, '0')} delivered`)
  const document: PrintDocument = {
    blocks: [0, 40, 80].map((from) => ({ kind: 'text', text: lines.slice(from, from + 14).join('\n') })),
  }
  const printing = service.print(document)
  while (bench.machine.paper().length < 700) await systemClock.sleep(2)
  bench.machine.setFault('paperOut', true)
  const first = await printing
  t.match(first, { outcome: 'paperOut', job: /^print-\d+$/ })
  const before = bench.machine.tearOff().length
  await t.rejects(service.resume('print-99', 'en'), { code: 'PRINT_JOB_UNKNOWN' })
  bench.machine.setFault('paperOut', false)
  await bench.until((printer) => printer.status().state === 'ready')
  t.same(await service.resume(first.job!, 'en'), { outcome: 'printed' })
  const after = bench.machine.tearOff().length
  const whole = 42 * 30
  t.ok(after < whole, `${after} rows: not all over again`)
  t.ok(
    before + after >= whole + 30 + 4 * 30,
    `${before} and ${after} rows: nothing is missing, with the mark and the feed`,
  )
  await t.rejects(service.resume(first.job!, 'en'), { code: 'PRINT_JOB_UNKNOWN' }, 'once only')

  const { capabilities } = bench.printer
  const job = encodeJob(document, capabilities, font)
  t.equal(job.lineEnds.length, 42)
  const rest = encodeJob(document, capabilities, font, { lines: 40, mark: 'CONTINUED' })
  const text = Buffer.from(rest.bytes).toString('latin1')
  t.match(text, '*** CONTINUED ***')
  t.match(text, 'parcel 0092 delivered')
  t.notMatch(text, 'parcel 0091 delivered')
  t.doesNotThrow(() => cutJob(rest.bytes, 512))

  // A hot head stops it over the same paper: no mark, no line twice more than the printer had not confirmed.
  const hot = service.print(document)
  while (bench.machine.paper().length < 700) await systemClock.sleep(2)
  bench.machine.setFault('headHot', true)
  await bench.until((printer) => printer.status().state === 'headHot')
  bench.machine.setFault('headHot', false)
  t.same(await hot, { outcome: 'printed' })
  t.ok(bench.machine.tearOff().length >= whole)
})

t.test('a terminal without a printer says so', async (t) => {
  const service = createPrintService({
    printer: undefined,
    font,
    texts,
    clock: systemClock,
    log: silentLog,
  })
  t.equal(service.summary(), 'none')
  t.same(await service.print({ blocks: [{ kind: 'rule' }] }), { outcome: 'offline' })
})
