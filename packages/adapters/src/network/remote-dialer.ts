import type { Socket } from 'node:net'
import { addressKind, type EgressTarget } from '@thv/core'
import { connectThrough, goesThrough, readUpstreamProxy } from './upstream-proxy.ts'

/**
 * Opens connections to a remote server through the proxy that the environment names. Undefined when it is reached
 * without one: there is none, `NO_PROXY` names the host, or the host is this machine. `host` as a URL has it.
 */
export function createRemoteDialer(
  environment: Readonly<Record<string, string | undefined>>,
  host: string,
): ((target: EgressTarget) => Promise<Socket>) | undefined {
  const upstream = readUpstreamProxy(environment)
  const plain = host.replace(/^\[|\]$/g, '').toLowerCase()
  if (upstream === undefined || isThisMachine(plain) || !goesThrough(upstream, plain)) return undefined
  return async (target) => await connectThrough(upstream, target)
}

function isThisMachine(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || addressKind(host) === 'loopback'
}
