// The road to an acquirer: TLS that ends here, in the secure world, over bytes that another world carries.
import type { Duplex } from 'node:stream'
import { connect } from 'node:tls'
import { PosternError } from '../../../../hal/base/errors.js'
import type { Road } from './road.js'

export interface TlsRoadOptions {
  /** Opens the bytes below. */
  readonly carrier: (signal: AbortSignal) => Promise<Duplex>
  readonly serverName: string
  /** The one authority that is trusted, PEM. */
  readonly ca: string
  readonly clientCertificate?: string
  readonly clientKey?: string
  /** To the end of the handshake, carrier included. */
  readonly connectMs: number
}

/** Faults of the handshake that mean: someone answers, but not whom we trust. */
const UNTRUSTED =
  /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_CERT_|HOSTNAME_MISMATCH|INVALID_CA|PATH_LENGTH_|INVALID_PURPOSE)/

/**
 * A road over TLS 1.2 or later with one pinned authority and a pinned name.
 * NOTE: with TLS 1.3 a host that refuses our certificate says so only after the handshake has ended here (RFC 8446,
 * 4.4.2.4): a message sent meanwhile counts as sent, and is reversed.
 */
export function createTlsRoad(options: TlsRoadOptions): Road {
  return {
    async open(signal) {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(options.connectMs)])
      const carrier = await options.carrier(deadline).catch((error: unknown) => {
        if (signal.aborted) throw new PosternError('ABORTED', 'cancelled', {}, error)
        throw new PosternError('ROAD_CLOSED', 'no connection to the acquirer', {}, error)
      })
      return new Promise<Duplex>((resolve, reject) => {
        const socket = connect({
          socket: carrier,
          servername: options.serverName,
          ca: options.ca,
          minVersion: 'TLSv1.2',
          rejectUnauthorized: true,
          ...(options.clientCertificate === undefined ? {} : { cert: options.clientCertificate }),
          ...(options.clientKey === undefined ? {} : { key: options.clientKey }),
        })
        // Bytes that follow the handshake at once can break the session before the caller listens.
        socket.on('error', () => socket.destroy())
        const refuse = (code: string, message: string, cause?: unknown) => {
          settle()
          socket.destroy()
          carrier.destroy()
          reject(new PosternError(code, message, {}, cause))
        }
        const onSecure = () => {
          settle()
          socket.once('close', () => carrier.destroy())
          resolve(socket)
        }
        const onError = (error: NodeJS.ErrnoException) =>
          UNTRUSTED.test(error.code ?? '')
            ? refuse('ROAD_UNTRUSTED', "the other side is not the acquirer's", error)
            : refuse('ROAD_CLOSED', 'the secure connection failed', error)
        const onClose = () => refuse('ROAD_CLOSED', 'the line ended during the handshake')
        const onAbort = () =>
          signal.aborted
            ? refuse('ABORTED', 'cancelled')
            : refuse('ROAD_CLOSED', 'no secure connection in time')
        const settle = () => {
          socket.off('secureConnect', onSecure).off('error', onError).off('close', onClose)
          deadline.removeEventListener('abort', onAbort)
        }
        socket.once('secureConnect', onSecure).once('error', onError).once('close', onClose)
        deadline.addEventListener('abort', onAbort, { once: true })
        if (deadline.aborted) onAbort()
      })
    },
  }
}
