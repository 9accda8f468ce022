// One scene of every kind, in English and Chinese, for the gallery and the renderer's tests.
import type { Screen } from '../../../runtime/api/screens.js'
import type { Scene, StatusFacts, SystemScreen } from '../../../runtime/secure/screens/scene.js'
import { openState, type ScreenState } from '../../../runtime/secure/screens/screen-state.js'

const status: StatusFacts = {
  network: 'online',
  cloud: 'connected',
  printer: 'ready',
  outbox: 0,
  battery: { percent: 82, charging: false },
}
const troubled: StatusFacts = {
  network: 'offline',
  cloud: 'offline',
  printer: 'problem',
  outbox: 3,
  battery: { percent: 9, charging: false },
}

type Both = readonly [english: string, chinese: string]
const eur = (minor: string) => ({ minor, currency: 'EUR' })

function samplesIn(language: 'en' | 'zh'): Record<string, Scene> {
  const say = ([english, chinese]: Both) => (language === 'en' ? english : chinese)
  const app = (content: Screen, state: ScreenState = openState(content), facts = status): Scene => ({
    content,
    state,
    secure: false,
    owner: say(['Courier', '快递员']),
    language,
    status: facts,
    time: '14:05',
    phase: 5,
  })
  const own = (content: SystemScreen, secure = true): Scene => ({
    content,
    secure,
    owner: 'Postern',
    language,
    status,
    time: '14:05',
    phase: 5,
  })
  const list: Screen = {
    kind: 'list',
    title: say(['Deliveries today', '今日派送']),
    selected: 'd2',
    items: [
      {
        id: 'd1',
        label: say(['Meyer, Lindenstr. 4', '王小明 建国路4号']),
        detail: say(['PX 1001 2002 DE', '运单 1001 2002']),
        right: '€49.90',
        mark: 'done',
      },
      {
        id: 'd2',
        label: say(['Ann Archer', '李雷']),
        detail: say(['12 Mill Lane, 2nd floor left', '人民路12号2单元301室']),
        right: '€1,250.00',
      },
      {
        id: 'd3',
        label: say(['Bäckerei Öztürk & Söhne GmbH', '幸福面包房（南京东路店）']),
        detail: say(['Nobody at home at 11:20', '11:20 无人在家']),
        right: '€8.50',
        mark: 'attention',
      },
      {
        id: 'd4',
        label: say(['Karl Kowalczyk', '韩梅梅']),
        detail: say(['Refused', '已拒收']),
        right: '€199.00',
        mark: 'failed',
      },
      ...Array.from({ length: 8 }, (_, i) => ({
        id: `e${i}`,
        label: `${say(['Parcel', '包裹'])} ${i + 5}`,
        detail: `PX 77${i}`,
        right: `€${i + 3}.20`,
      })),
    ],
    softKeys: [
      { id: 'scan', label: say(['Scan', '扫码']) },
      { id: 'round', label: say(['End round', '结束派送']) },
    ],
  }
  const form: Screen = {
    kind: 'form',
    title: say(['Receiver', '收件人']),
    fields: [
      { id: 'name', label: say(['Name', '姓名']), input: 'text', value: 'Smi' },
      { id: 'phone', label: say(['Telephone', '电话']), input: 'digits', value: '0170555', minLength: 9 },
    ],
  }
  const amount: Screen = {
    kind: 'amount',
    title: say(['Changed amount', '修改金额']),
    currency: 'EUR',
    text: say(['Due was €49.90. What does the customer keep?', '应收 €49.90，客户实收多少？']),
    initial: eur('4990'),
    max: eur('4990'),
  }
  const details: Screen = {
    kind: 'details',
    title: say(['Parcel PX 1001', '包裹 PX 1001']),
    rows: [
      { label: say(['Receiver', '收件人']), value: say(['Ann Archer', '李雷']) },
      {
        label: say(['Address', '地址']),
        value: say([
          '12 Mill Lane, 2nd floor left, 10115 Berlin',
          '北京市朝阳区建国路88号现代城5号楼2单元301室',
        ]),
      },
      { label: say(['Due', '应收']), value: '€49.90' },
      { label: say(['Weight', '重量']), value: '2.4 kg' },
      { label: say(['Note', '备注']), value: say(['Ring twice', '请按两次门铃']) },
    ],
    items: [
      { id: 'collect', label: say(['Collect €49.90', '收款 €49.90']) },
      { id: 'refused', label: say(['Refused', '拒收']) },
      { id: 'absent', label: say(['Not at home', '无人在家']) },
    ],
  }
  const refusal = say([
    'The bank said no: not enough funds. Ask for another card.',
    '银行拒绝：余额不足。请客户换一张卡。',
  ])
  return {
    home: own(
      {
        kind: 'home',
        title: say(['Green Parcel', '绿色快递']),
        lines: [say(['Ready', '就绪']), say(['Sign in to begin', '请先登录'])],
        busy: true,
      },
      false,
    ),
    list: app(list),
    'list-last': app(list, { kind: 'choice', selected: 11, top: 0, scroll: 0 }, troubled),
    'list-empty': app({ kind: 'list', title: say(['Deliveries today', '今日派送']), items: [] }),
    menu: app({
      kind: 'menu',
      title: say(['Why was it refused?', '拒收原因']),
      text: say(['Choose what the receiver said.', '请选择收件人的说法。']),
      items: [
        { id: 'a', label: say(['Damaged', '包裹破损']) },
        { id: 'b', label: say(['Not ordered', '未曾订购']) },
        { id: 'c', label: say(['Too expensive', '价格太高']) },
        { id: 'd', label: say(['Other reason', '其他原因']) },
      ],
    }),
    form: app(form),
    'form-short': app(form, {
      ...(openState(form) as ScreenState & { kind: 'form' }),
      field: 1,
      tooShort: true,
    }),
    amount: app(amount),
    'amount-high': app(amount, { kind: 'amount', digits: '5000000', preset: false, notice: 'tooHigh' }),
    message: app({
      kind: 'message',
      title: say(['About', '关于']),
      text: `${say(['The round was closed at 18:02. Hand the cash in at the depot and have the sheet countersigned.', '本次派送已于18:02结束。请把现金交到站点，并请工作人员在单据上会签。'])}\n\n${refusal}`,
    }),
    success: app({
      kind: 'message',
      title: say(['Paid', '已付款']),
      text: say(['€49.90 approved. Give the customer the receipt.', '€49.90 已批准，请把凭条交给客户。']),
      tone: 'success',
    }),
    error: app({ kind: 'message', title: say(['Declined', '交易被拒']), text: refusal, tone: 'error' }),
    warning: app({
      kind: 'message',
      title: say(['No network', '无网络']),
      text: say([
        'This payment needs the bank. Move to better coverage and try again.',
        '此笔付款需要联机授权。请到信号更好的地方再试。',
      ]),
      tone: 'warning',
    }),
    confirm: app({
      kind: 'confirm',
      title: say(['Collect', '收款']),
      text: say(['Collect this amount from Ann Archer by card?', '向李雷刷卡收取此金额？']),
      amount: eur('4990'),
    }),
    progress: app({
      kind: 'progress',
      title: say(['Printing', '正在打印']),
      text: say(['Receipt for the customer', '客户凭条']),
      percent: 60,
    }),
    waiting: app({
      kind: 'progress',
      title: say(['Please wait', '请稍候']),
      text: say(['Asking the bank…', '正在联系银行…']),
      cancellable: true,
    }),
    qr: app({
      kind: 'qr',
      title: say(['Receipt', '电子凭条']),
      data: 'https://example.org/r/8f3k2m9q',
      text: say(['Scan for your receipt', '扫码获取电子凭条']),
    }),
    receipt: app({
      kind: 'receipt',
      title: say(['Receipt', '凭条']),
      lines: [
        say(['         GREEN PARCEL', '           绿色快递']),
        say(['      1 Depot Road, Berlin', '       北京市朝阳区站前路1号']),
        '',
        `${say(['SALE                 EUR 49.90', '消费                 EUR 49.90'])}`,
        'VISA CREDIT  **** 0119  Chip',
        'AID: A0000000031010',
        say(['Verified by PIN', '密码验证通过']),
        say(['Auth 123456   Response 00', '授权码 123456  响应码 00']),
        '22.11.2026 14:05   STAN 000123',
        '',
        say(['     *** CUSTOMER COPY ***', '        *** 客户联 ***']),
        '',
        say(['        Thank you!', '        谢谢惠顾！']),
      ],
    }),
    details: app(details),
    card: own({
      kind: 'card',
      title: say(['Insert card', '请插卡']),
      picture: 'insert',
      amount: '€49.90',
      text: say(['Chip first, into the slot', '芯片朝前插入卡槽']),
      tone: 'info',
      cancellable: true,
    }),
    online: own({
      kind: 'card',
      title: say(['Asking the bank', '正在联机']),
      picture: 'online',
      amount: '€49.90',
      text: say(['Leave the card in', '请勿拔卡']),
      tone: 'info',
      cancellable: false,
    }),
    remove: own({
      kind: 'card',
      title: say(['Approved', '交易成功']),
      picture: 'remove',
      amount: '€49.90',
      text: say(['Remove card', '请取回卡片']),
      tone: 'success',
      cancellable: false,
    }),
    unreadable: own({
      kind: 'card',
      title: say(['Card not read', '读卡失败']),
      picture: 'unreadable',
      amount: '€49.90',
      text: say(['Turn the card round and insert it again', '请调转卡片方向后重新插入']),
      tone: 'error',
      cancellable: true,
    }),
    pin: own({
      kind: 'secret',
      title: say(['Enter PIN', '请输入密码']),
      amount: '€1,250.00',
      text: say(['Then press the green key', '输入后按绿色键']),
      entered: 4,
    }),
    'pin-wrong': own({
      kind: 'secret',
      title: say(['Enter PIN', '请输入密码']),
      amount: '€49.90',
      text: say(['Then press the green key', '输入后按绿色键']),
      notice: say(['Wrong PIN. Last try', '密码错误，还可再试1次']),
      entered: 12,
    }),
    number: own({
      kind: 'secret',
      title: say(['Sign in', '登录']),
      text: say(['Your operator number', '请输入操作员编号']),
      entered: 4,
      typed: '1234',
      notForPin: true,
    }),
    code: own({
      kind: 'secret',
      title: say(["Supervisor's approval", '主管授权']),
      text: say(['Void of €49.90\nCode of operator 1234', '撤销 €49.90\n请输入操作员 1234 的口令']),
      notice: say(['Wrong number or code', '编号或口令错误']),
      entered: 3,
      notForPin: true,
    }),
  }
}

/** Scenes by name, such as `en-list`. */
export const samples: Readonly<Record<string, Scene>> = Object.fromEntries(
  (['en', 'zh'] as const).flatMap((language) =>
    Object.entries(samplesIn(language)).map(([name, scene]) => [`${language}-${name}`, scene]),
  ),
)
