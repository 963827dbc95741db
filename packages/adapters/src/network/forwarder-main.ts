import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { answerDns } from './dns-answer.ts'
import type { ForwarderOrder } from './forwarder-order.ts'
import { joinSockets } from './join-sockets.ts'
import { networkLimits } from './network-limits.ts'
import { readStatus } from './read-status.ts'

/**
 * The forwarder's whole program. It lives in the network of one filtered server, outside
 * of its sandbox, and decides nothing: every connection becomes a CONNECT to the egress
 * proxy, which is behind a unix socket.
 *
 * Programs that know nothing of proxies work too: each name they look up becomes an
 * address of 127.77.0.0/16, all of which is this very network's loopback, and the
 * address they connect to tells the name. Prints `ready` when everything listens.
 */
async function runForwarder(order: ForwarderOrder): Promise<void> {
  if (order.egress !== undefined) {
    const egress = join(order.directory, 'egress.sock')
    await openWayOut(order.egress, egress)
    // An engine in another machine shows the socket, and nobody is behind it.
    await tryOut(egress)
  }
  const { inbound } = order
  if (inbound !== undefined) {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      joinSockets(socket, connect({ ...inbound, allowHalfOpen: true }))
    })
    await listen(server, { path: join(order.directory, 'inbound.sock') })
  }
  if (order.life === true) await endWithSocket(join(order.directory, 'life.sock'))
  process.stdout.write('ready\n')
}

async function openWayOut(
  { proxyPort, ports }: NonNullable<ForwarderOrder['egress']>,
  socketPath: string,
): Promise<void> {
  const names = createNames()
  const proxy = createServer({ allowHalfOpen: true }, (socket) => joinSockets(socket, connectUnix(socketPath)))
  await listen(proxy, { host: '127.0.0.1', port: proxyPort })
  for (const port of ports) {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      void tunnel(socket, socketPath, names.nameOf(socket.localAddress ?? ''))
    })
    await listen(server, { host: '0.0.0.0', port })
  }
  const dns = createSocket('udp4', (query, peer) => {
    const answer = answerDns(query, names.addressOf)
    if (answer !== undefined) dns.send(answer, peer.port, peer.address)
  })
  dns.bind(53, '127.0.0.1')
  await once(dns, 'listening')
  // A program that is gone before its answer is no reason to end.
  dns.on('error', () => {})
}

async function tryOut(path: string): Promise<void> {
  const socket = connectUnix(path)
  await once(socket, 'connect')
  socket.destroy()
}

/** Names and the addresses that stand for them. */
function createNames(): { addressOf: (name: string) => number[] | undefined; nameOf: (address: string) => string } {
  const addresses = new Map<string, number[]>()
  const names = new Map<string, string>()
  return {
    addressOf(name) {
      const known = addresses.get(name)
      if (known !== undefined || addresses.size >= networkLimits.names) return known
      const index = addresses.size + 1
      const address = [127, 77, index >> 8, index & 255]
      addresses.set(name, address)
      names.set(address.join('.'), name)
      return address
    },
    nameOf: (address) => names.get(address) ?? (address === '127.0.0.1' ? 'localhost' : address),
  }
}

async function tunnel(socket: Socket, egress: string, name: string): Promise<void> {
  socket.on('error', () => socket.destroy())
  const authority = `${name}:${socket.localPort ?? 0}`
  const proxy = connectUnix(egress)
  proxy.on('error', () => socket.destroy())
  proxy.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
  const status = await readStatus(proxy).catch(() => 502)
  // A reset, not a polite end: the program must not take it for an answer.
  if (status !== 200) {
    proxy.destroy()
    return void socket.resetAndDestroy()
  }
  joinSockets(socket, proxy)
}

function connectUnix(path: string): Socket {
  return connect({ path, allowHalfOpen: true })
}

async function listen(server: Server, where: { host: string; port: number } | { path: string }): Promise<void> {
  server.maxConnections = networkLimits.connections
  server.listen(where)
  await once(server, 'listening')
}

/** The kernel closes what a killed process had open, also towards a container. */
async function endWithSocket(path: string): Promise<void> {
  const life = connect({ path })
  await once(life, 'connect')
  life.on('error', () => {})
  life.once('close', () => process.exit())
  life.resume()
}

/**
 * The order comes by the first line of input for whoever starts this before knowing it; then the end
 * of that input is the end of this program: whoever held it is gone.
 */
function readOrder(): void {
  let text = ''
  let isRead = false
  process.stdin.setEncoding('utf8').on('data', (chunk: string) => {
    if (isRead) return
    text += chunk
    const end = text.indexOf('\n')
    if (end < 0) return
    isRead = true
    start(text.slice(0, end))
  })
  process.stdin.on('close', () => process.exit())
  process.stdin.on('error', () => process.exit())
}

/** Not awaited: a chunk that is shared must never wait for its entry. */
function start(text: string): void {
  // Whoever starts it is a runtime, with an order of its own making.
  const order: ForwarderOrder = JSON.parse(text)
  void runForwarder(order)
}

const [argument] = process.argv.slice(2)
if (argument === undefined) readOrder()
else start(argument)
