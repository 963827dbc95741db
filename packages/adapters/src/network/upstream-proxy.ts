import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { matchesHost, type EgressTarget } from '@thv/core'
import { formatAuthority } from './authority.ts'
import { networkLimits } from './network-limits.ts'
import { parseUrl } from './parse-url.ts'
import { readStatus } from './read-status.ts'

/** A proxy of the company between this machine and the world, as the user's environment names it. */
export interface UpstreamProxy {
  url: URL
  /** Hosts that are reached without it. */
  bypass: readonly string[]
}

/** Reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, of either case. Undefined when there is none that can be used. */
export function readUpstreamProxy(
  environment: Readonly<Record<string, string | undefined>>,
): UpstreamProxy | undefined {
  const valueOf = (name: string): string => environment[name.toLowerCase()] ?? environment[name] ?? ''
  const text = [valueOf('HTTPS_PROXY'), valueOf('HTTP_PROXY'), valueOf('ALL_PROXY')].find((value) => value !== '')
  if (text === undefined) return undefined
  const url = parseUrl(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`)
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) return undefined
  return {
    url,
    bypass: valueOf('NO_PROXY')
      .split(/[\s,]+/)
      .filter((host) => host !== ''),
  }
}

/** Whether a host is reached through the proxy: everything but `NO_PROXY`, where a name means its subdomains too. */
export function goesThrough(upstream: UpstreamProxy, host: string): boolean {
  return !upstream.bypass.some((entry) => {
    const plain = entry.replace(/^\*?\./, '').replace(/:\d+$/, '')
    return entry === '*' || matchesHost(plain, host) || matchesHost(`.${plain}`, host)
  })
}

/** A tunnel through the proxy. Rejects when it does not answer with 200; never repeats its credentials. */
export async function connectThrough(upstream: UpstreamProxy, target: EgressTarget): Promise<Socket> {
  const { url } = upstream
  const authority = formatAuthority(target)
  const name = decodeURIComponent(url.username)
  const login = Buffer.from(`${name}:${decodeURIComponent(url.password)}`).toString('base64')
  const credentials = name === '' ? '' : `Proxy-Authorization: Basic ${login}\r\n`
  const socket = openProxy(url)
  const timer = setTimeout(() => socket.destroy(new Error('it does not answer')), networkLimits.upstreamMs)
  try {
    socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${credentials}\r\n`)
    const status = await readStatus(socket)
    if (status === 200) return socket
    throw new Error(`it answers ${status}`)
  } catch (error) {
    socket.destroy()
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`the proxy ${url.host} cannot reach ${authority}: ${why}`, { cause: error })
  } finally {
    clearTimeout(timer)
  }
}

function openProxy(url: URL): Socket {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (url.protocol === 'https:') return connectTls({ host, port: Number(url.port || 443), servername: host })
  return connectTcp({ host, port: Number(url.port || 80) })
}
