import { connect, createServer, type Socket } from 'node:net'
import { joinSockets } from './join-sockets.ts'
import { networkLimits } from './network-limits.ts'

/** Where a server is reached, and the socket behind which it really listens. */
export interface InboundOptions {
  host: string
  /** 0 takes a free one. */
  port: number
  socketPath: string
}

/**
 * Listens where a server would, and hands each connection on to the forwarder in the
 * network that the server has for itself.
 */
export async function openInboundListener(options: InboundOptions): Promise<{ port: number; close(): Promise<void> }> {
  const open = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    joinSockets(socket, connect({ path: options.socketPath, allowHalfOpen: true }))
  })
  server.maxConnections = networkLimits.connections
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: options.host, port: options.port }, resolve)
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}
