// The page of the virtual handheld: draws what the hardware shows, and sends what hands do to it.
const $ = (id) => document.getElementById(id)
let state = {}

async function act(action) {
  const response = await fetch('api/do', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(action),
  })
  if (!response.ok) say((await response.json()).error, true)
}

let hintTimer
function say(text, wrong = false) {
  $('hint').textContent = text
  $('hint').classList.toggle('flash', wrong)
  clearTimeout(hintTimer)
  hintTimer = setTimeout(() => ($('hint').textContent = ''), 6000)
}

/** Undoes raw deflate of base64. */
async function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

// Keypad: [key, label, class], four to a row.
const LAYOUT = [
  ['soft1', '▁', 'soft'],
  ['up', '▲', 'move'],
  ['down', '▼', 'move'],
  ['soft2', '▁', 'soft'],
  ['1', '1'],
  ['2', '2'],
  ['3', '3'],
  ['cancel', '✕', 'cancel'],
  ['4', '4'],
  ['5', '5'],
  ['6', '6'],
  ['clear', '←', 'clear'],
  ['7', '7'],
  ['8', '8'],
  ['9', '9'],
  ['enter', '○', 'enter'],
  ['00', '00'],
  ['0', '0'],
  ['menu', '≡', 'soft'],
  ['scan', '⌗', 'soft'],
]
const NAMES = {
  soft1: 'Left key',
  soft2: 'Right key',
  cancel: 'Cancel',
  clear: 'Correct',
  enter: 'Confirm',
  scan: 'Scan',
  menu: 'Menu',
  up: 'Up',
  down: 'Down',
}
for (const [key, label, kind] of LAYOUT) {
  const button = document.createElement('button')
  button.type = 'button'
  button.textContent = label
  button.title = NAMES[key] ?? key
  button.dataset.key = key
  button.setAttribute('aria-label', NAMES[key] ?? key)
  if (kind) button.className = kind
  button.addEventListener('pointerdown', (event) => {
    event.preventDefault()
    press(key)
  })
  $('pad').append(button)
}
function press(key) {
  const button = document.querySelector(`[data-key="${key}"]`)
  button?.classList.add('down')
  setTimeout(() => button?.classList.remove('down'), 120)
  queue = queue.then(() => act({ key }))
}
/** One finger: presses go one after another, as fast as they come. */
let queue = Promise.resolve()

const KEYBOARD = {
  Enter: 'enter',
  Backspace: 'clear',
  Delete: 'clear',
  Escape: 'cancel',
  ArrowUp: 'up',
  ArrowDown: 'down',
  ArrowLeft: 'left',
  ArrowRight: 'right',
  F1: 'soft1',
  F2: 'soft2',
  F3: 'menu',
  F4: 'scan',
}
addEventListener('keydown', (event) => {
  if (
    event.target instanceof HTMLInputElement ||
    event.target instanceof HTMLSelectElement ||
    event.ctrlKey ||
    event.metaKey ||
    event.altKey
  )
    return
  const key = /^[0-9]$/.test(event.key) ? event.key : KEYBOARD[event.key]
  if (key === undefined) return
  event.preventDefault()
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur()
  press(key)
})

// Cards.
function cardElement(card, seated) {
  const element = document.createElement('button')
  element.type = 'button'
  element.className = `card${state.inserted === card.id && !seated ? ' in' : ''}`
  element.style.setProperty('--c', card.colour)
  element.dataset.card = card.id
  const title = document.createElement('b')
  title.textContent = card.label
  const about = document.createElement('small')
  about.textContent = seated ? 'Click to pull it out' : card.description
  element.title = card.description
  element.append(title, about)
  if (card.pinHint && !seated) {
    const pin = document.createElement('small')
    pin.className = 'pin'
    pin.textContent = `PIN ${card.pinHint}`
    element.append(pin)
  }
  element.draggable = !seated
  element.addEventListener('dragstart', (event) => event.dataTransfer.setData('text/plain', card.id))
  element.addEventListener('click', () =>
    act(state.inserted === card.id ? { pull: true } : { insert: card.id }),
  )
  return element
}
$('slot').addEventListener('dragover', (event) => {
  event.preventDefault()
  $('slot').classList.add('over')
})
$('slot').addEventListener('dragleave', () => $('slot').classList.remove('over'))
$('slot').addEventListener('drop', (event) => {
  event.preventDefault()
  $('slot').classList.remove('over')
  act({ insert: event.dataTransfer.getData('text/plain') })
})

// Screen, paper, lights, sound.
const screen = $('screen').getContext('2d')
async function drawScreen({ width, height, pixels }) {
  const packed = await unpack(pixels)
  const words = new Uint16Array(packed.buffer)
  if ($('screen').width !== width || $('screen').height !== height) {
    $('screen').width = width
    $('screen').height = height
    $('screen').style.aspectRatio = `${width} / ${height}`
    $('screen').style.height = 'auto'
  }
  const image = screen.createImageData(width, height)
  for (let i = 0; i < words.length; i++) {
    const w = words[i]
    image.data[i * 4] = ((w >> 11) * 255) / 31
    image.data[i * 4 + 1] = (((w >> 5) & 63) * 255) / 63
    image.data[i * 4 + 2] = ((w & 31) * 255) / 31
    image.data[i * 4 + 3] = 255
  }
  screen.putImageData(image, 0, 0)
}

let paperRows = 0
const MAX_PAPER = 12_000
function growPaper(rows, dots) {
  const canvas = $('paper')
  const context = canvas.getContext('2d')
  const stride = Math.ceil(dots / 8)
  const count = rows.length / stride
  const kept = paperRows > 0 ? context.getImageData(0, 0, canvas.width, paperRows) : undefined
  const drop = Math.max(0, paperRows + count - MAX_PAPER)
  canvas.width = dots
  canvas.height = paperRows + count - drop
  context.fillStyle = '#fffdf7'
  context.fillRect(0, 0, canvas.width, canvas.height)
  if (kept) context.putImageData(kept, 0, -drop)
  const image = context.createImageData(dots, count)
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
  context.putImageData(image, 0, paperRows - drop)
  paperRows = canvas.height
  $('roll').scrollTop = 0
}
function tearPaper() {
  paperRows = 0
  $('paper').height = 1
}

let audio
function sound(steps) {
  if (!steps || !$('sound').checked) return
  audio ??= new AudioContext()
  let at = audio.currentTime
  for (const { hz, ms } of steps) {
    if (hz > 0) {
      const tone = audio.createOscillator()
      const level = audio.createGain()
      tone.type = 'square'
      tone.frequency.value = hz
      level.gain.value = 0.03
      tone.connect(level).connect(audio.destination)
      tone.start(at)
      tone.stop(at + ms / 1000)
    }
    at += ms / 1000
  }
}

// State.
const FAULT_NAMES = {
  paperOut: 'Paper out',
  paperLow: 'Paper low',
  coverOpen: 'Cover open',
  headHot: 'Head too hot',
  jam: 'Paper jam',
  slow: 'Slow',
  silent: 'Switched off',
}
const MOMENT_NAMES = {
  getProcessingOptions: 'when the card is opened',
  verify: 'when the card checks the PIN',
  firstGenerateAc: 'at the first cryptogram',
  secondGenerateAc: 'between approval and second cryptogram',
  afterSecondGenerateAc: 'after the second cryptogram',
}
const DEVICE_NAMES = {
  'chip-card-reader': 'Card reader',
  keypad: 'Keypad',
  display: 'Display',
  indicators: 'Lights',
  printer: 'Printer',
  scanner: 'Scanner',
  power: 'Power gauge',
}
let drawnCards = ''
let lastTone = 'null'
function showState(next) {
  state = next
  $('dark').hidden = state.powered
  document.querySelector('.glass').classList.toggle('dim', state.backlight !== 'on')
  for (const name of ['secure', 'alert']) $(`light-${name}`).className = state.lights[name] ?? 'off'
  $('screen').setAttribute('aria-label', `Screen: ${state.screen.join('. ')}`)
  $('network').checked = state.network
  if (document.activeElement !== $('battery')) $('battery').value = state.power.percent
  $('batteryOut').textContent = `${Math.round(state.power.percent)} %`
  $('armed').textContent = state.cutArmed ? `armed: ${MOMENT_NAMES[state.cutArmed]}` : ''
  const worlds = Object.entries(state.worlds ?? {}).map(([name, what]) => `${name} ${what}`)
  $('worlds').textContent = [
    ...worlds,
    ...(state.missing ?? []).map((text) => `Missing here: ${text}.`),
  ].join(' · ')
  const cards = JSON.stringify([state.inserted, state.cards.length])
  if (cards !== drawnCards) {
    drawnCards = cards
    $('cards').replaceChildren(...state.cards.map((card) => cardElement(card, false)))
    const seated = state.cards.find((card) => card.id === state.inserted)
    $('seated').replaceChildren(...(seated ? [cardElement(seated, true)] : []))
  }
  for (const box of document.querySelectorAll('[data-fault]'))
    box.checked = state.printer.faults.includes(box.dataset.fault)
  for (const box of document.querySelectorAll('[data-device]'))
    box.checked = state.detached.includes(box.dataset.device)
  const tone = JSON.stringify(state.tone)
  if (tone !== lastTone) sound(state.tone)
  lastTone = tone
  const links = JSON.stringify(state.links ?? [])
  if ($('links').dataset.links !== links) {
    $('links').dataset.links = links
    $('links').replaceChildren(
      ...(state.links ?? []).map(({ label, href }) =>
        Object.assign(document.createElement('a'), {
          textContent: label,
          href,
          target: '_blank',
          rel: 'noopener',
        }),
      ),
    )
  }
  const labels = JSON.stringify(state.labels ?? [])
  if ($('chips').dataset.labels !== labels) {
    $('chips').dataset.labels = labels
    $('labels').replaceChildren(
      ...(state.labels ?? []).map(({ text, label }) =>
        Object.assign(document.createElement('option'), { value: text, label }),
      ),
    )
    $('chips').replaceChildren(
      ...(state.labels ?? []).map(({ text, label }) => {
        const chip = Object.assign(document.createElement('button'), {
          type: 'button',
          textContent: text,
          title: label,
        })
        chip.addEventListener('click', () => act({ scan: text }))
        return chip
      }),
    )
  }
}

function showCatalogue({ printerFaults, cutMoments, devices }) {
  const toggle = (data, value, label, change) => {
    const row = document.createElement('label')
    const box = Object.assign(document.createElement('input'), { type: 'checkbox' })
    box.dataset[data] = value
    box.addEventListener('change', () => change(box.checked))
    row.append(box, ` ${label}`)
    return row
  }
  $('printer').replaceChildren(
    ...printerFaults.map((fault) =>
      toggle('fault', fault, FAULT_NAMES[fault] ?? fault, (on) =>
        act({ fault: { name: 'printer', args: { fault, on } } }),
      ),
    ),
  )
  $('devices').replaceChildren(
    ...devices.map((device) =>
      toggle('device', device, `${DEVICE_NAMES[device] ?? device} lost`, (on) =>
        act({ fault: { name: on ? 'detach' : 'attach', args: { device } } }),
      ),
    ),
  )
  $('moment').replaceChildren(
    ...cutMoments.map((moment) =>
      Object.assign(document.createElement('option'), {
        value: moment,
        textContent: MOMENT_NAMES[moment] ?? moment,
      }),
    ),
  )
}

$('scan').addEventListener('submit', (event) => {
  event.preventDefault()
  if ($('code').value) act({ scan: $('code').value })
  $('code').value = ''
})
$('network').addEventListener('change', () => act({ network: $('network').checked ? 'on' : 'off' }))
$('battery').addEventListener('change', () =>
  act({ fault: { name: 'battery', args: { percent: Number($('battery').value), source: 'battery' } } }),
)
$('large').addEventListener('change', () => document.body.classList.toggle('large', $('large').checked))
$('cut').addEventListener('click', () => act({ power: 'cut' }))
$('on').addEventListener('click', () => act({ power: 'on' }))
$('arm').addEventListener('click', () => act({ power: { cutAt: $('moment').value } }))
$('pullArm').addEventListener('click', () =>
  act({ fault: { name: 'cardPulledAfter', args: { commands: Number($('pullAfter').value) } } }),
)
$('slowSet').addEventListener('click', () =>
  act({ fault: { name: 'slowWire', args: { ms: Number($('slow').value) } } }),
)
$('tear').addEventListener('click', () => act({ tear: true }).then(tearPaper))
$('save').addEventListener('click', () => {
  if (paperRows === 0) return say('There is no paper out yet.')
  $('paper').toBlob((blob) => {
    const link = Object.assign(document.createElement('a'), {
      href: URL.createObjectURL(blob),
      download: 'receipt.png',
    })
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 1000)
  })
})

function listen() {
  const events = new EventSource('api/events')
  let order = Promise.resolve()
  const inOrder = (name, handle) =>
    events.addEventListener(
      name,
      ({ data }) => (order = order.then(() => handle(JSON.parse(data))).catch(console.error)),
    )
  inOrder('catalogue', (catalogue) => {
    tearPaper()
    showCatalogue(catalogue)
  })
  inOrder('state', showState)
  inOrder('screen', drawScreen)
  inOrder('paper', async ({ rows }) => growPaper(await unpack(rows), state.printer?.dots ?? 384))
  events.onerror = () => say('The handheld does not answer; trying again.', true)
}
listen()
