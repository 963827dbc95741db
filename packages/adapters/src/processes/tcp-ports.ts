import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, isIPv6 } from 'node:net'
import { systemCodeOf, ThvError, type PortAllocator } from '@thv/core'
import { processLimits } from './process-limits.ts'

const lowest = 10_000
/**
 * From here on Linux takes the local ports of outgoing connections (ip_local_port_range). A workload keeps its port while
 * it is stopped, and must not find it taken by somebody's connection when it comes back.
 */
const firstOfConnections = 32_768
const beyond = 65_535
/** What the system says of an address or a name that cannot be listened on here. */
const notHere = ['EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN', 'EINVAL']

/**
 * Ports of this machine, tested by binding TCP and UDP (spec/local 3.4). A free port
 * may be taken by someone else before it is used.
 */
export function createPortAllocator(): PortAllocator {
  return {
    isFree,
    async findFree(host) {
      for (let turn = 0; turn < processLimits.portTries; turn += 1) {
        const port = randomInt(lowest, firstOfConnections)
        if (await isFree(port, host)) return port
      }
      for (let port = lowest; port < beyond; port += 1) {
        if (await isFree(port, host)) return port
      }
      throw new ThvError('port-in-use', `no free port between ${lowest} and ${beyond - 1} on ${host}`, {
        hint: 'stop workloads that are not needed',
      })
    },
  }
}

async function isFree(port: number, host: string): Promise<boolean> {
  try {
    await bindTcp(port, host)
    await bindUdp(port, host)
    return true
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === 'EADDRINUSE') return false
    if (code === 'EACCES') {
      throw new ThvError('port-not-permitted', `port ${port} may not be used by this user`, {
        hint: 'choose a port above 1023',
        cause: error,
      })
    }
    if (code !== undefined && notHere.includes(code)) {
      throw new ThvError('host-invalid', `'${host}' is not an address of this machine`, {
        hint: 'use 127.0.0.1',
        cause: error,
      })
    }
    throw error
  }
}

async function bindTcp(port: number, host: string): Promise<void> {
  const server = createServer()
  server.listen({ port, host, exclusive: true })
  await once(server, 'listening')
  server.close()
  await once(server, 'close')
}

async function bindUdp(port: number, host: string): Promise<void> {
  const socket = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4' })
  try {
    socket.bind({ port, address: host, exclusive: true })
    await once(socket, 'listening')
  } finally {
    socket.close()
  }
}
