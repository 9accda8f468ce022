// Shows GET /state, once a second. Text only ever becomes text.
const WORDS = {
  delivered: ['delivered', 'good'],
  partlyAccepted: ['partly accepted', 'good'],
  refused: ['refused', 'bad'],
  notAtHome: ['not at home', 'warn'],
}
const REASONS = {
  damaged: 'damaged',
  wrongGoods: 'wrong goods',
  tooLate: 'too late',
  noMoney: 'no money',
  notOrdered: 'not ordered',
  other: 'other reason',
}
const byId = (id) => document.getElementById(id)

function money({ minor, currency }) {
  const digits = new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions()
    .maximumFractionDigits
  return new Intl.NumberFormat('en-IE', { style: 'currency', currency }).format(Number(minor) / 10 ** digits)
}
function cell(text, className, small) {
  const made = document.createElement('td')
  made.textContent = text
  if (className) made.className = className
  if (small) {
    const line = document.createElement('small')
    line.textContent = small
    made.append(line)
  }
  return made
}
function row(...cells) {
  const made = document.createElement('tr')
  made.append(...cells)
  return made
}
const time = (ms) => (ms ? new Date(ms).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }) : '')

function parcelRow(parcel, index) {
  const [word, className] = WORDS[parcel.status] ?? ['on its way', 'open']
  const { paid } = parcel
  const card = paid?.card ? `${paid.card.label} ····${paid.card.last4}` : (paid?.tender ?? '')
  const doubt = paid && paid.tender === 'card' && !paid.confirmed ? 'not confirmed by the terminal yet' : ''
  return row(
    cell(String(index + 1), 'aside'),
    cell(parcel.waybill, 'whole'),
    cell(parcel.recipient, '', parcel.address.join(', ')),
    cell(parcel.due.minor === '0' ? 'nothing' : money(parcel.due), 'money'),
    cell(word, className, parcel.reason ? REASONS[parcel.reason] : ''),
    cell(paid ? money(paid.amount) : '', 'money aside'),
    cell(card, 'aside', doubt),
    cell(time(parcel.at), 'whole aside'),
  )
}

function show(state) {
  const battery = ({ power }) =>
    power
      ? `, ${power.source === 'external' ? 'plugged in' : 'on battery'}${power.state === 'ok' ? '' : ` and ${power.state}`}`
      : ''
  const online = state.terminals
    .filter((terminal) => terminal.online)
    .map((terminal) => `${terminal.id}${battery(terminal)}`)
  byId('link').textContent =
    state.service !== 'connected'
      ? 'The service is not connected to its broker'
      : online.length > 0
        ? `Online: ${online.join('; ')}`
        : 'No terminal is online'
  const done = state.parcels.filter((parcel) => parcel.status).length
  const paid = state.parcels.filter((parcel) => parcel.paid)
  const currency = paid[0]?.paid.amount.currency ?? state.parcels[0]?.due.currency ?? 'EUR'
  const sum = paid.reduce((total, parcel) => total + Number(parcel.paid.amount.minor), 0)
  const taken = state.rounds.every((round) => round.takenAt) ? '' : ' · not yet on the terminal'
  byId('sums').textContent =
    `${done} of ${state.parcels.length} finished · ${money({ minor: sum, currency })} collected${taken}`
  byId('parcels').replaceChildren(...state.parcels.map(parcelRow))
  byId('no-payments').hidden = state.payments.length > 0
  byId('payments').replaceChildren(
    ...state.payments.map((payment) =>
      row(
        cell(payment.reference),
        cell(payment.outcome, payment.outcome === 'approved' ? 'good' : 'warn'),
        cell(money(payment.amount), 'money'),
        cell(payment.card ? `${payment.card.label} ····${payment.card.last4}` : ''),
        cell(payment.authorisationCode ?? ''),
      ),
    ),
  )
  const handIns = state.rounds.filter((round) => round.handIn)
  byId('hand-in').hidden = handIns.length === 0
  byId('hand-in-text').replaceChildren(
    ...handIns.map(({ round, handIn }) => {
      const line = document.createElement('p')
      const tenders = handIn.tenders.map(
        ({ tender, count, amount }) => `${count} by ${tender}, ${money(amount)}`,
      )
      line.textContent = `${round}, courier ${handIn.operator}, ${time(handIn.at)}: ${tenders.join(' and ') || 'nothing collected'}; the acquirer ${{ agrees: 'agrees', differs: 'differs', notCompared: 'was not asked' }[handIn.agreement]}. ${handIn.differences.join('; ')}`
      return line
    }),
  )
}

for (;;) {
  try {
    const response = await fetch('/state')
    show(await response.json())
  } catch {
    byId('link').textContent = 'The cloud does not answer'
  }
  await new Promise((resolve) => setTimeout(resolve, 1000))
}
