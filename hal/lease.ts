// Leases: a device belongs to one owner at a time, who can give it back or be made to.
import { PosternError } from './base/errors.js'
import type { Device, DeviceError } from './device.js'

/** The right to use a device. */
export interface Lease<D> {
  readonly owner: string
  /** Fires when the lease ends; hand it to operations (with `AbortSignal.any`) so that a revoked owner stops. */
  readonly signal: AbortSignal
  /** The device. @throws DeviceError `DEVICE_BUSY` naming the holder, or `ABORTED` where nobody holds it, once ended */
  device(): D
  /** Idempotent. */
  release(): void
}

/** Hands out one device to one owner at a time. */
export interface Leasing<D> {
  /** Name of the owner, or undefined while the device is free. */
  holder(): string | undefined
  /** `owner` is for people: at most 64 characters. @throws DeviceError `DEVICE_BUSY` naming the holder */
  acquire(owner: string): Lease<D>
  /** Takes the device back from whoever holds it; their signal fires with `reason`. True if somebody held it. */
  revoke(reason: string): boolean
}

/** Leasing for one device. */
export function createLeasing<D extends Pick<Device<string, unknown>, 'id'>>(device: D): Leasing<D> {
  let current: { readonly owner: string; readonly end: AbortController } | undefined

  const busy = (holder: string): DeviceError =>
    new PosternError('DEVICE_BUSY', `${device.id} is held by ${holder}`, { device: device.id, holder })

  return {
    holder: () => current?.owner,
    acquire(owner) {
      if (current !== undefined) throw busy(current.owner)
      const mine = { owner: owner.slice(0, 64), end: new AbortController() }
      current = mine
      return {
        owner: mine.owner,
        signal: mine.end.signal,
        device() {
          if (current === mine) return device
          if (current !== undefined) throw busy(current.owner)
          throw new PosternError('ABORTED', `the lease of ${device.id} has ended`, { device: device.id })
        },
        release() {
          if (current !== mine) return
          current = undefined
          mine.end.abort(new PosternError('ABORTED', 'lease released', { device: device.id }))
        },
      }
    },
    revoke(reason) {
      if (current === undefined) return false
      const { end } = current
      current = undefined
      end.abort(new PosternError('ABORTED', reason, { device: device.id }))
      return true
    },
  }
}
