// Secure element (TPM, SE, or a file in development): seals small secrets and counts upwards for ever.
import type { Device } from './device.js'

/**
 * `seal` and `unseal` take at most 4 KiB. What one element sealed no other unseals; after a tamper nothing unseals
 * (`DEVICE_PROTOCOL`, detail `sealed data refused`). `increment` is durable before it resolves and never goes back;
 * where a counter starts is the element's own affair.
 * Labels and counters' names are 1 to 64 letters, digits and `._:/-`, the first a letter or digit.
 */
export interface SecureElement extends Device<'ready' | 'locked'> {
  readonly deviceClass: 'secure-element'
  readonly capabilities: { readonly hardware: boolean }
  seal(label: string, secret: Uint8Array): Promise<Uint8Array>
  unseal(label: string, sealed: Uint8Array): Promise<Uint8Array>
  counter(name: string): Promise<bigint>
  increment(name: string): Promise<bigint>
}
