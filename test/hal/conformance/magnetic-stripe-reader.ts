// Conformance of a magnetic stripe reader's driver with hal/magnetic-stripe-reader.ts.
import type { Test } from 'tap'
import type { MagneticStripeReader } from '../../../hal/magnetic-stripe-reader.js'
import { writeTrack } from '../../../hal/stripe-tracks.js'
import { codeOf, type DeviceBench, deviceConformance, eventually, opened, within } from './support.js'

/** A bench with cards to swipe; tracks as on the stripe, with sentinels and LRC, `null` where nothing is recorded. */
export interface MagneticStripeReaderBench extends DeviceBench<MagneticStripeReader> {
  swipe(track1: string | null, track2: string | null): void | Promise<void>
}

const TRACK1 = 'B5413330089600010^COURIER/TEST^25122010000000000000'
const TRACK2 = '5413330089600010=25122010000000000'

export async function magneticStripeReaderConformance(
  t: Test,
  bench: MagneticStripeReaderBench,
): Promise<void> {
  await deviceConformance(t, bench, (reader, signal) => reader.swipe(signal))
  const good1 = writeTrack(1, TRACK1)
  const good2 = writeTrack(2, TRACK2)
  const text = (track: Uint8Array | 'bad' | undefined) =>
    track instanceof Uint8Array ? Buffer.from(track).toString('latin1') : track
  const swiped = async (reader: MagneticStripeReader, track1: string | null, track2: string | null) => {
    const swipe = within('swipe', reader.swipe())
    await eventually('armed', () => reader.status().state === 'armed')
    await bench.swipe(track1, track2)
    const tracks = await swipe
    return [text(tracks.track1), text(tracks.track2)]
  }

  await t.test('tracks come without sentinels and LRC; what can not be read is told apart', async (t) => {
    const reader = await opened(bench)
    t.same(await swiped(reader, good1, good2), [TRACK1, TRACK2])
    t.same(await swiped(reader, null, good2), [undefined, TRACK2])
    const wrongLrc = `${good2.slice(0, -1)}${good2.endsWith('0') ? '1' : '0'}`
    t.same(await swiped(reader, good1, wrongLrc), [TRACK1, 'bad'])
    t.same(await swiped(reader, good1.slice(1), good2.replace('?', '0')), ['bad', 'bad'])
    t.same(await swiped(reader, null, writeTrack(2, '1'.repeat(38))), [undefined, 'bad'], 'too long')
    t.equal(reader.status().state, 'idle')
    await reader.close()
  })

  await t.test('a swipe that nobody waits for is dropped and counted', async (t) => {
    const reader = await opened(bench)
    await bench.swipe(good1, good2)
    await eventually('counted', () => reader.statistics()['DroppedReadCount'] === 1)
    const swipe = reader.swipe()
    t.equal(await codeOf('second swipe', reader.swipe()), 'DEVICE_BUSY')
    await eventually('armed', () => reader.status().state === 'armed')
    await bench.swipe(null, good2)
    t.equal(text((await within('swipe', swipe)).track1), undefined, 'not the earlier card')
    await reader.close()
  })
}
