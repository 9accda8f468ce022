// Paper: receipts, and what to do where the printer can't.
import type { PaymentView } from '../../runtime/api/payments.js'
import type { PrintResult } from '../../runtime/api/print-document.js'
import type { Desk } from './payment.js'
import type { Ui } from './ui.js'

type Copy = 'customer' | 'merchant'

/**
 * Prints, and when the printer can't, says what to mend and offers to go on where it stopped or to print again. True
 * once it is on paper.
 */
export async function print(ui: Ui, desk: Desk, whole: () => Promise<PrintResult>): Promise<boolean> {
  let job = whole
  for (;;) {
    const { t } = ui.texts()
    let trouble: string
    let rest: string | undefined
    try {
      const result = await ui.busy(t('printing'), job())
      const { outcome } = result
      if (outcome === 'printed') return true
      rest = result.job
      trouble = t(`printer.${outcome}`)
    } catch (error) {
      // The payment stands, whatever became of its paper.
      await ui.fault(error)
      trouble = t('printer.unknown')
    }
    const shown = await ui.show({
      kind: 'menu',
      title: t('printer.title'),
      text: trouble,
      items: [
        ...(rest === undefined ? [] : [{ id: 'resume', label: t('printer.resume') }]),
        { id: 'again', label: t('printer.again') },
        { id: 'without', label: t('printer.without') },
      ],
    })
    if (shown.type !== 'selected' || shown.id === 'without') return false
    const interrupted = rest
    job =
      shown.id === 'resume' && interrupted !== undefined
        ? () => desk.host['printer.resume']({ job: interrupted })
        : whole
  }
}

const receipt = (ui: Ui, desk: Desk, key: string, copy: Copy) =>
  print(ui, desk, () => desk.host['printer.receipt']({ key, copy }))

/** After a payment: the customer's copy, and the courier's on request. */
export async function printReceipts(ui: Ui, desk: Desk, { key, code }: PaymentView): Promise<void> {
  const { t } = ui.texts()
  await receipt(ui, desk, key, 'customer')
  const question = code === 'SIGNATURE' ? t('receipt.toSign') : t('receipt.second')
  if (await ui.confirm(question)) await receipt(ui, desk, key, 'merchant')
}

/** One copy for the customer, as of a payment that was declined or given back. */
export async function printCustomerReceipt(ui: Ui, desk: Desk, key: string): Promise<void> {
  await receipt(ui, desk, key, 'customer')
}

/** Later, from the parcel: whichever copy is wanted. The terminal marks what it printed before as a reprint. */
export async function chooseReceipt(ui: Ui, desk: Desk, key: string): Promise<void> {
  const { t } = ui.texts()
  const shown = await ui.show({
    kind: 'menu',
    title: t('action.receipt'),
    items: (['customer', 'merchant'] as const).map((id) => ({ id, label: t(`receipt.${id}`) })),
  })
  if (shown.type === 'selected')
    await receipt(ui, desk, key, shown.id === 'merchant' ? 'merchant' : 'customer')
}

/** Before money is asked for: says where a receipt may not come out. False where the courier mends that first. */
export async function paperIsReady(ui: Ui, desk: Desk): Promise<boolean> {
  const state = desk.printer?.()
  if (state !== 'paperLow' && state !== 'problem') return true
  const { t } = ui.texts()
  const shown = await ui.show({
    kind: 'menu',
    title: t('paper.title'),
    text: t(`paper.${state}`),
    items: [
      { id: 'collect', label: t('paper.collect') },
      { id: 'mend', label: t('paper.mend') },
    ],
  })
  return shown.type === 'selected' && shown.id === 'collect'
}
