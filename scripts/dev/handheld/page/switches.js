// The switches beside the handheld: surroundings, printer, power and what can be broken.
import { $, act, make, say } from './hands.js'
import { paperPng } from './pixels.js'

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

function toggle(data, value, label, change) {
  const box = make('input', { type: 'checkbox' })
  box.setAttribute('role', 'switch')
  box.dataset[data] = value
  box.addEventListener('change', () => change(box.checked))
  return make('label', {}, box, ` ${label}`)
}

/** Builds the switches that the handheld says it has. */
export function showCatalogue({ printerFaults, cutMoments, devices }) {
  $('printer').replaceChildren(
    ...printerFaults.map((fault) =>
      toggle('fault', fault, FAULT_NAMES[fault] ?? fault, (on) =>
        act({ fault: { name: 'printer', args: { fault, on } } }),
      ),
    ),
  )
  $('devices').replaceChildren(
    ...devices.map((device) =>
      toggle('device', device, DEVICE_NAMES[device] ?? device, (lost) =>
        act({ fault: { name: lost ? 'detach' : 'attach', args: { device } } }),
      ),
    ),
  )
  $('moment').replaceChildren(
    ...cutMoments.map((moment) =>
      make('option', { value: moment, textContent: MOMENT_NAMES[moment] ?? moment }),
    ),
  )
}

/** Sets every switch as the handheld has it. */
export function showSwitches(state) {
  $('network').checked = state.network
  $('charger').checked = state.power.source === 'external'
  if (document.activeElement !== $('battery')) $('battery').value = state.power.percent
  $('batteryOut').textContent = `${Math.round(state.power.percent)} %`
  $('armed').textContent = state.cutArmed ? `Armed: ${MOMENT_NAMES[state.cutArmed]}.` : ''
  $('cut').disabled = !state.powered
  $('on').disabled = state.powered
  for (const box of document.querySelectorAll('[data-fault]'))
    box.checked = state.printer.faults.includes(box.dataset.fault)
  for (const box of document.querySelectorAll('[data-device]'))
    box.checked = state.detached.includes(box.dataset.device)
}

const fault = (name, args) => act({ fault: { name, args } })
const battery = () =>
  fault('battery', {
    percent: Number($('battery').value),
    source: $('charger').checked ? 'external' : 'battery',
  })
$('scan').addEventListener('submit', (event) => {
  event.preventDefault()
  if ($('code').value) act({ scan: $('code').value })
  $('code').value = ''
})
$('network').addEventListener('change', () => act({ network: $('network').checked ? 'on' : 'off' }))
$('battery').addEventListener('change', battery)
$('charger').addEventListener('change', battery)
$('cut').addEventListener('click', () => act({ power: 'cut' }))
for (const id of ['on', 'darkOn']) $(id).addEventListener('click', () => act({ power: 'on' }))
$('arm').addEventListener('click', () => act({ power: { cutAt: $('moment').value } }))
$('pullArm').addEventListener('click', async () => {
  const commands = Number($('pullAfter').value)
  if (await fault('cardPulledAfter', { commands })) say(`The card will fall out after ${commands} commands.`)
})
$('slowSet').addEventListener('click', async () => {
  const ms = Number($('slow').value)
  if (await fault('slowWire', { ms }))
    say(ms === 0 ? 'The wire is as fast as ever.' : `The wire is late by ${ms} ms.`)
})
$('bounce').addEventListener('change', () => fault('keyBounce', { on: $('bounce').checked }))
$('tear').addEventListener('click', () => act({ tear: true }))
$('stub').addEventListener('click', () => $('receipt').scrollIntoView({ behavior: 'smooth' }))
$('save').addEventListener('click', async () => {
  const blob = await paperPng()
  if (blob === null) return say('There is no paper out yet.')
  const link = make('a', { href: URL.createObjectURL(blob), download: 'receipt.png' })
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 1000)
})

/** What this browser remembers of this page; a browser that forbids it forgets. */
const memory = {
  get: (name) => {
    try {
      return localStorage.getItem(`postern-${name}`)
    } catch {
      return null
    }
  },
  set: (name, value) => {
    try {
      localStorage.setItem(`postern-${name}`, value)
    } catch {}
  },
}
$('sound').checked = memory.get('sound') !== 'off'
$('sound').addEventListener('change', () => memory.set('sound', $('sound').checked ? 'on' : 'off'))
$('intro').hidden = memory.get('intro') === 'closed'
$('introClose').addEventListener('click', () => {
  $('intro').hidden = true
  memory.set('intro', 'closed')
})
