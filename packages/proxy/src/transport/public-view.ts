import type { IncomingMessage } from 'node:http'
import { headerOf, parseTarget } from '../front-door.ts'
import { hostNameOf } from '../request-guard.ts'
import type { PublicView } from './endpoint-rewriter.ts'

/** How a request of a client saw the proxy. */
export interface ViewOptions {
  /** The URL at the backend that the event stream came from. */
  readonly streamUrl: string
  readonly endpointPrefix: string
  readonly trustsForwarded: boolean
  /** Host and port the proxy listens on, for requests without a usable Host. */
  readonly authority: string
}

/**
 * Where the endpoints of a backend are for the client of this request. The
 * prefix of the config wins over the forwarded one; forwarded headers count
 * only when they are trusted and well formed, and the scheme only with a host.
 */
export function readPublicView(req: IncomingMessage, options: ViewOptions): PublicView {
  const { host } = req.headers
  const authority = host !== undefined && hostNameOf(host) !== undefined ? host : options.authority
  const forwarded = options.trustsForwarded ? readForwarded(req) : { prefix: '' }
  return {
    streamUrl: options.streamUrl,
    isMoved: new URL(options.streamUrl).pathname !== parseTarget(req.url ?? '/').path,
    proxyOrigin: `http://${authority}`,
    prefix: options.endpointPrefix === '' ? forwarded.prefix : normalizePrefix(options.endpointPrefix),
    ...(forwarded.origin === undefined ? {} : { forwardedOrigin: forwarded.origin }),
  }
}

/** What a trusted proxy in front says about where clients reach us. */
export function readForwarded(req: IncomingMessage): { prefix: string; origin?: string } {
  const host = firstOf(headerOf(req, 'x-forwarded-host'))
  const prefix = normalizePrefix(firstOf(headerOf(req, 'x-forwarded-prefix')) ?? '')
  if (host === undefined || hostNameOf(host) === undefined) return { prefix }
  const scheme = firstOf(headerOf(req, 'x-forwarded-proto')) === 'https' ? 'https' : 'http'
  return { prefix, origin: `${scheme}://${host}` }
}

/** A prefix without slashes at its end; empty when it is not a plain absolute path. */
export function normalizePrefix(prefix: string): string {
  const trimmed = prefix.replace(/\/+$/, '')
  return /^(?:\/[\w.~!$&'()*+,;=:@%-]+)+$/.test(trimmed) ? trimmed : ''
}

/** Each proxy on the way adds its own value at the end; the first is the client's view. */
function firstOf(value: string | undefined): string | undefined {
  const first = value?.split(',')[0]?.trim()
  return first === '' ? undefined : first
}
