import { lookup } from 'node:dns/promises'
import { connect, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import {
  canonicalAddress,
  decideAddress,
  decideEgress,
  type EgressDecision,
  type EgressTarget,
  type OutboundPermissions,
} from '@thv/core'
import { networkLimits } from './network-limits.ts'
import { connectThrough, goesThrough, type UpstreamProxy } from './upstream-proxy.ts'

/** A refusal by the rules, in contrast to a host that cannot be reached. */
export class EgressRefused extends Error {
  override readonly name = 'EgressRefused'
  readonly remedy: string

  constructor(decision: Extract<EgressDecision, { allowed: false }>) {
    super(decision.reason)
    this.remedy = decision.remedy
  }
}

/** What decides and how the world is reached. */
export interface DialOptions {
  outbound: OutboundPermissions
  /** Whether this machine is reached by the names that Docker gives it, whatever the rules say; default false. */
  gateway?: boolean
  upstream?: UpstreamProxy
  /** Default: the system's resolver. */
  resolve?: (host: string) => Promise<string[]>
}

/**
 * Connects to where a server wants to. The address that was checked is the one that is
 * connected to; nothing is looked up a second time. Rejects with {@link EgressRefused}.
 */
export async function dial(options: DialOptions, target: EgressTarget): Promise<Socket> {
  const { outbound, upstream } = options
  if (options.gateway === true && gatewayNames.has(target.host.toLowerCase()))
    return await connectTo('127.0.0.1', target.port)
  assertAllowed(decideEgress(outbound, target))
  if (upstream !== undefined && goesThrough(upstream, target.host)) return await connectThrough(upstream, target)
  const resolved = await withTimeout((options.resolve ?? systemResolver)(target.host), target.host)
  const own = ownAddresses()
  const decisions = resolved.map((address) => ({ address, decision: decideAddress(outbound, target, address, own) }))
  const usable = decisions.filter(({ decision }) => decision.allowed).slice(0, networkLimits.addresses)
  const [first] = decisions
  if (first === undefined) throw new Error(`${target.host} has no address`)
  if (usable.length === 0) assertAllowed(first.decision)
  let failure = new Error(`${target.host} cannot be reached`)
  for (const { address } of usable) {
    try {
      return await connectTo(address, target.port)
    } catch (error) {
      if (error instanceof Error) failure = error
    }
  }
  throw failure
}

/** Spec/local 3.7. */
const gatewayNames = new Set(['host.docker.internal', 'gateway.docker.internal'])

function assertAllowed(decision: EgressDecision): void {
  if (!decision.allowed) throw new EgressRefused(decision)
}

async function systemResolver(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address)
}

/** What listens on all addresses of this machine is reached by each of them. */
function ownAddresses(): Set<string> {
  const entries = Object.values(networkInterfaces()).flatMap((found) => found ?? [])
  return new Set(entries.map(({ address }) => canonicalAddress(address)))
}

async function withTimeout<T>(work: Promise<T>, host: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`looking up ${host} takes too long`)), networkLimits.lookupMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

async function connectTo(address: string, port: number): Promise<Socket> {
  const socket = connect({ host: address, port, allowHalfOpen: true })
  socket.setNoDelay(true)
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(new Error(`${address} does not answer`)), networkLimits.connectMs)
    const fail = (error: Error): void => {
      clearTimeout(timer)
      socket.destroy()
      reject(error)
    }
    socket.once('error', fail)
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.off('error', fail)
      resolve(socket)
    })
  })
}
