// The cards on the table and the one in the slot.
import { $, act, make } from './hands.js'

const GROUPS = ['everyday', 'trouble', 'hostile']
let drawn = ''
let inserted = null

const insertOrPull = (id) => act(inserted === id ? { pull: true } : { insert: id })

function element(card, seated) {
  const button = make(
    'button',
    { type: 'button', className: 'card', title: card.description, draggable: !seated },
    make('b', { textContent: card.label }),
  )
  // What an everyday card does is its name; the others need a word on what is wrong with them.
  if (seated)
    button.append(make('small', { textContent: `···· ${card.maskedPan.slice(-4)} · click to pull` }))
  else if (card.group !== 'everyday') button.append(make('small', { textContent: card.description }))
  button.style.setProperty('--c', card.colour)
  button.dataset.card = card.id
  const pin = card.group === 'hostile' ? '' : `PIN ${card.pinHint}`
  if (pin && !seated) button.append(make('small', { className: 'pin', textContent: pin }))
  button.setAttribute(
    'aria-label',
    seated ? `Pull out ${card.label}` : `${card.label}. ${card.description} ${pin}`,
  )
  if (!seated) {
    button.classList.toggle('in', card.id === inserted)
    button.setAttribute('aria-pressed', String(card.id === inserted))
  }
  button.addEventListener('dragstart', (event) => {
    event.dataTransfer.setData('text/plain', card.id)
    for (const id of ['slot', 'groove']) $(id).classList.add('wanted')
  })
  button.addEventListener('dragend', () => {
    for (const id of ['slot', 'groove']) $(id).classList.remove('wanted')
  })
  button.addEventListener('click', () => insertOrPull(card.id))
  return button
}

/** Draws table and slot when either has changed. */
export function showCards(cards, now) {
  const wanted = JSON.stringify([now, cards.map(({ id }) => id)])
  if (wanted === drawn) return
  const focused = document.activeElement?.dataset?.card
  drawn = wanted
  inserted = now
  for (const group of GROUPS) {
    const mine = cards.filter((card) => card.group === group)
    $(`cards-${group}`).replaceChildren(...mine.map((card) => element(card, false)))
    const count = $(`count-${group}`)
    if (count) count.textContent = String(mine.length)
  }
  const seated = cards.find((card) => card.id === now)
  $('seated').replaceChildren(...(seated ? [element(seated, true)] : []))
  $('slot').classList.toggle('full', seated !== undefined)
  $('seatedNote').textContent = seated ? `${seated.label} is in the slot` : ''
  if (focused) document.querySelector(`.cards [data-card="${focused}"]`)?.focus()
}

const slot = $('slot')
slot.addEventListener('dragover', (event) => {
  event.preventDefault()
  slot.classList.add('over')
})
slot.addEventListener('dragleave', () => slot.classList.remove('over'))
slot.addEventListener('drop', (event) => {
  event.preventDefault()
  slot.classList.remove('over', 'wanted')
  act({ insert: event.dataTransfer.getData('text/plain').slice(0, 64) })
})
