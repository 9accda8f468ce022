// The page of the virtual handheld: follows what the hardware shows, hands each part of it on.
import { showCards } from './cards.js'
import { $, act, make, say } from './hands.js'
import { showKeys } from './keypad.js'
import { drawScreen, growPaper, tearPaper, unpack } from './pixels.js'
import { sound } from './sound.js'
import { showStripe, showSwipes } from './stripe.js'
import { showCatalogue, showSwitches } from './switches.js'

let dots = 384

/** Calls `draw` only when `value` is not what it drew last. */
function whenChanged(draw) {
  let last
  return (value) => {
    const now = JSON.stringify(value)
    if (now === last) return
    last = now
    draw(value)
  }
}

const showLinks = whenChanged((links) =>
  $('links').replaceChildren(
    ...links.map(({ label, href }) =>
      make('a', { textContent: label, href, target: '_blank', rel: 'noopener' }),
    ),
  ),
)
const showLabels = whenChanged((labels) =>
  $('chips').replaceChildren(
    ...labels.map(({ text, label }) => {
      const chip = make(
        'button',
        { type: 'button', title: `Hold ${text} before the scanner` },
        make('code', { textContent: text }),
        make('span', { textContent: label }),
      )
      chip.addEventListener('click', () => act({ scan: text }))
      return chip
    }),
  ),
)
const showWorlds = whenChanged(([worlds, powered]) =>
  $('worlds').replaceChildren(
    ...Object.entries(worlds).map(([name, what]) =>
      make('li', {
        className: what === 'running' ? 'runs' : 'stands',
        textContent: `${name} world ${powered ? what : 'without power'}`,
      }),
    ),
  ),
)
const showMissing = whenChanged((missing) => {
  $('missing').hidden = missing.length === 0
  $('missing').replaceChildren(
    make('b', { textContent: 'Protections missing on this machine' }),
    make('ul', {}, ...missing.map((textContent) => make('li', { textContent }))),
  )
})
const showLights = whenChanged((lights) => {
  for (const [name, how] of Object.entries(lights)) {
    const light = $(`light-${name}`)
    if (light === null) continue
    light.className = how
    light.setAttribute('aria-label', `${name} light ${how}`)
  }
})
/** The screen's words without its status row, whose clock would never stop talking. A PIN is bullets in them. */
const speak = whenChanged((lines) => {
  $('words').textContent = lines.join('. ')
})

function showState(state) {
  dots = state.printer.dots
  $('dark').hidden = state.powered
  document.querySelector('.glass').classList.toggle('dim', state.powered && state.backlight !== 'on')
  $('screen').setAttribute('aria-label', `Screen: ${state.screen.join('. ')}`)
  $('lit').textContent = state.scanner.lit ? 'the beam is on' : ''
  speak(state.screen.slice(1))
  showLights(state.lights)
  showSwitches(state)
  showKeys(state.keys)
  showCards(state.cards, state.inserted)
  showStripe(state.stripe, state.cards)
  showWorlds([state.worlds ?? {}, state.powered])
  showMissing(state.missing ?? [])
  showLinks(state.links ?? [])
  showLabels(state.labels ?? [])
  sound(state.tone)
}

let reading
/** The paper's words for screen readers, once it has come to rest. */
function readPaper() {
  clearTimeout(reading)
  reading = setTimeout(async () => {
    const { lines } = await (await fetch('api/paper')).json()
    $('paperWords').textContent = lines.slice(-80).join('\n')
  }, 600)
}

const events = new EventSource('api/events')
let order = Promise.resolve()
/** Handles events one after another: paper that unpacks slowly is not overtaken. */
function inOrder(name, handle) {
  events.addEventListener(name, ({ data }) => {
    order = order.then(() => handle(JSON.parse(data))).catch((error) => say(String(error), true))
  })
}
inOrder('catalogue', (catalogue) => {
  tearPaper()
  showCatalogue(catalogue)
  showSwipes(catalogue.swipes)
  document.body.classList.remove('away')
})
inOrder('state', showState)
inOrder('screen', async ({ width, height, pixels }) => drawScreen(width, height, await unpack(pixels)))
inOrder('paper', async ({ rows }) => {
  growPaper(await unpack(rows), dots)
  readPaper()
})
inOrder('tear', tearPaper)
events.onerror = () => {
  document.body.classList.add('away')
  say('The handheld does not answer; trying again.', true)
}
