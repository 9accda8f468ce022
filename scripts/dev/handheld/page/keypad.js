// The keypad: keys to click, and the keyboard's keys that stand for them.
import { $, act, make } from './hands.js'

/** [key, label, class, name], row by row. */
const ROWS = [
  [
    ['soft1', '▂', 'soft', 'Left key under the screen'],
    ['left', '◀', 'move', 'Left'],
    ['up', '▲', 'move', 'Up'],
    ['down', '▼', 'move', 'Down'],
    ['right', '▶', 'move', 'Right'],
    ['soft2', '▂', 'soft', 'Right key under the screen'],
  ],
  [['1'], ['2'], ['3'], ['cancel', '✕', 'cancel', 'Cancel']],
  [['4'], ['5'], ['6'], ['clear', '←', 'clear', 'Correct']],
  [['7'], ['8'], ['9'], ['enter', '○', 'enter', 'Confirm']],
  [['00'], ['0'], ['menu', '≡', 'soft', 'Menu'], ['scan', '⌗', 'soft', 'Scan']],
]
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

/** One finger: presses go one after another, as fast as they come; past 40 that wait, the finger rests. */
let queue = Promise.resolve()
let waiting = 0
function press(key) {
  if (waiting >= 40) return
  waiting++
  const button = document.querySelector(`[data-key="${key}"]`)
  button?.classList.add('down')
  setTimeout(() => button?.classList.remove('down'), 120)
  queue = queue.then(() => act({ key })).finally(() => waiting--)
}

for (const row of ROWS) {
  const line = make('div', { className: row.length > 4 ? 'moves' : 'keys' })
  for (const [key, label = key, kind = '', name = key] of row) {
    const button = make('button', { type: 'button', textContent: label, title: name, className: kind })
    button.dataset.key = key
    button.setAttribute('aria-label', name)
    button.addEventListener('pointerdown', (event) => {
      event.preventDefault()
      if (event.button === 0) press(key)
    })
    // A screen reader clicks without a pointer; so does Space on a focused key.
    button.addEventListener('click', (event) => {
      if (event.detail === 0) press(key)
    })
    line.append(button)
  }
  $('pad').append(line)
}

const OF_ITS_OWN = 'input, select, textarea, [contenteditable]'
addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return
  if (event.target.matches?.(OF_ITS_OWN) && event.target.type !== 'checkbox') return
  const key = /^[0-9]$/.test(event.key) ? event.key : KEYBOARD[event.key]
  if (key === undefined) return
  // Whoever walks the page by Tab means the thing in focus; after a click the keyboard is the keypad again.
  if (event.key === 'Enter' && event.target.matches?.('button:focus-visible, summary:focus-visible, a'))
    return
  event.preventDefault()
  press(key)
})
// A clicked switch keeps no focus, so that Enter and the arrows go on being the handheld's.
addEventListener('click', (event) => {
  if (event.detail > 0 && event.target.closest?.('button, label, summary, input[type="checkbox"]'))
    document.activeElement?.matches('button, summary, input[type="checkbox"]') &&
      document.activeElement.blur()
})

/** Shows the keys that this board has. */
export function showKeys(keys) {
  for (const button of document.querySelectorAll('[data-key]'))
    button.style.visibility = keys.includes(button.dataset.key) ? '' : 'hidden'
}
