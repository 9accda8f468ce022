// The stripe slot: a card dragged through the groove, or chosen from a list, well or badly swiped.
import { $, act, make } from './hands.js'

const HOW_NAMES = { clean: 'cleanly', bad: 'too fast', partial: 'half way' }
let drawn = ''

/** Offers the manners of swiping that the handheld says there are. */
export function showSwipes(swipes) {
  $('swipeHow').replaceChildren(
    ...swipes.map((how) => make('option', { value: how, textContent: HOW_NAMES[how] ?? how })),
  )
}

/** Shows groove and list where the handheld has a stripe slot. */
export function showStripe(there, cards) {
  for (const id of ['groove', 'swipe', 'swipeNote']) $(id).hidden = !there
  const wanted = cards.map(({ id }) => id).join()
  if (wanted === drawn) return
  drawn = wanted
  $('swipeCard').replaceChildren(
    ...cards.map(({ id, label }) => make('option', { value: id, textContent: label })),
  )
}

async function swipe(card) {
  if (!(await act({ swipe: card, how: $('swipeHow').value }))) return
  groove.classList.remove('swiping')
  // A frame in between, so that a second swipe moves again.
  requestAnimationFrame(() => groove.classList.add('swiping'))
}

const groove = $('groove')
groove.addEventListener('animationend', () => groove.classList.remove('swiping'))
groove.addEventListener('dragover', (event) => {
  event.preventDefault()
  groove.classList.add('over')
})
groove.addEventListener('dragleave', () => groove.classList.remove('over'))
groove.addEventListener('drop', (event) => {
  event.preventDefault()
  groove.classList.remove('over', 'wanted')
  swipe(event.dataTransfer.getData('text/plain').slice(0, 64))
})
$('swipe').addEventListener('submit', (event) => {
  event.preventDefault()
  swipe($('swipeCard').value)
})
