// Apps stand still during PIN entry: whatever becomes of the open world meanwhile.
import t from 'tap'
import { silentLog } from '../../../hal/base/log.js'
import { createAppFreeze } from '../../../runtime/secure/app-freeze.js'

function world() {
  const calls: string[] = []
  const call = (name: string) => async () => {
    calls.push(name)
    return null
  }
  return { calls, client: { 'apps.freeze': call('freeze'), 'apps.thaw': call('thaw') } }
}

t.test('an open world that was started anew during a PIN has its apps stopped too', async (t) => {
  const first = world()
  const second = world()
  let open: (typeof first)['client'] | undefined = first.client
  const apps = createAppFreeze(() => open, silentLog)
  await apps.freeze()
  open = undefined
  open = second.client
  apps.connected()
  await apps.thaw()
  t.same(first.calls, ['freeze'])
  t.same(second.calls, ['freeze', 'thaw'])
})

t.test('an open world that connects when no PIN is typed is left alone', async (t) => {
  const { calls, client } = world()
  const apps = createAppFreeze(() => client, silentLog)
  apps.connected()
  await apps.freeze()
  await apps.thaw()
  apps.connected()
  t.same(calls, ['freeze', 'thaw'])
})

t.test(
  'without an open world there is nothing to stop; one that refuses is told to whoever asks',
  async (t) => {
    await createAppFreeze(() => undefined, silentLog).freeze()
    const refusing = {
      'apps.freeze': async () => Promise.reject(new Error('no')),
      'apps.thaw': async () => null,
    }
    await t.rejects(createAppFreeze(() => refusing, silentLog).freeze(), { message: 'no' })
  },
)
