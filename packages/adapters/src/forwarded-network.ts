import type { NetworkAccess, OutboundPermissions } from '@thv/core'

/** Opens the two ends of a network that a server has for itself; both are unix sockets of this process. */
export interface NetworkOpeners {
  /** Opens the way out of a filtered server. */
  openEgress: (egress: { socketPath: string; outbound: OutboundPermissions; gateway: boolean }) => Promise<Closable>
  /** Opens the way in to a server that speaks HTTP: port 0 takes a free one. */
  openInbound: (inbound: { socketPath: string; host: string; port: number }) => Promise<Closable & { port: number }>
}

/** Something that was opened for one server. */
export interface Closable {
  close(): Promise<void>
}

/** What a server wants of its network. */
export interface WantedNetwork {
  network: NetworkAccess
  /** Where the server listens in there; undefined for stdio. */
  listen: { host: string; port: number } | undefined
  /** Where it is reached on this machine. */
  publish: { host: string; port: number } | undefined
  /** Of this machine, 0700; holds the sockets. */
  directory: string
}

/** What a forwarder is told, but for its directory; and the port on which the server is reached. */
export interface ForwardedNetwork {
  order: { egress?: { proxyPort: number; ports: number[] }; inbound?: { host: string; port: number } }
  inboundPort: number | undefined
}

/**
 * Opens what a forwarder in the server's own network connects to; what was opened is
 * added to `opened`, also when the rest fails. Undefined when the server needs no forwarder.
 */
export async function openForwardedNetwork(
  openers: NetworkOpeners,
  { network, listen, publish, directory }: WantedNetwork,
  opened: (() => Promise<void>)[],
): Promise<ForwardedNetwork | undefined> {
  const order: ForwardedNetwork['order'] = {}
  let inboundPort: number | undefined
  if (network.kind === 'filtered') {
    const { outbound, gateway = false } = network
    const egress = await openers.openEgress({ socketPath: `${directory}/egress.sock`, outbound, gateway })
    opened.push(async () => await egress.close())
    const named = outbound.allow_port ?? []
    const ports = new Set(named.length === 0 ? webPorts : named)
    ports.delete(listen?.port ?? 0)
    order.egress = { proxyPort: proxyPortOf(listen?.port), ports: [...ports] }
  }
  const isOwn = network.kind === 'filtered' || network.kind === 'none'
  if (isOwn && listen !== undefined && publish !== undefined) {
    const inbound = await openers.openInbound({ socketPath: `${directory}/inbound.sock`, ...publish })
    opened.push(async () => await inbound.close())
    order.inbound = listen
    inboundPort = inbound.port
  }
  return Object.keys(order).length === 0 ? undefined : { order, inboundPort }
}

/** By these variables programs that know proxies find the forwarder. */
export function proxyEnvironment(serverPort: number | undefined): Record<string, string> {
  const proxy = `http://127.0.0.1:${proxyPortOf(serverPort)}`
  const direct = 'localhost,127.0.0.1,::1'
  return {
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    NO_PROXY: direct,
    http_proxy: proxy,
    https_proxy: proxy,
    no_proxy: direct,
    // Node 22.21 and 24 use the variables only when told so.
    NODE_USE_ENV_PROXY: '1',
  }
}

/** What listens on names without knowing of proxies: the ports of the profile, or those of the web. */
const webPorts = [80, 443]

/** Where programs inside find a proxy; moved when the server itself wants that port. */
const proxyPort = 3128

function proxyPortOf(serverPort: number | undefined): number {
  return serverPort === proxyPort ? proxyPort + 1 : proxyPort
}
