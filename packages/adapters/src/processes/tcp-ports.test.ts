import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createPortAllocator } from './tcp-ports.ts'

const ports = createPortAllocator()

describe('a port', () => {
  it('is free until someone listens there by TCP', async () => {
    const port = await ports.findFree('127.0.0.1')
    expect(await ports.isFree(port, '127.0.0.1')).toBe(true)
    const server = createServer().listen(port, '127.0.0.1')
    await once(server, 'listening')
    expect(await ports.isFree(port, '127.0.0.1')).toBe(false)
    server.close()
    await once(server, 'close')
    expect(await ports.isFree(port, '127.0.0.1')).toBe(true)
  })

  it('is taken when someone is bound there by UDP', async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1')
    await once(socket, 'listening')
    expect(await ports.isFree(socket.address().port, '127.0.0.1')).toBe(false)
    socket.close()
  })

  it('found by itself lies in the range of the specification', async () => {
    const found = await Promise.all(Array.from({ length: 20 }, async () => await ports.findFree('127.0.0.1')))
    expect(Math.min(...found)).toBeGreaterThanOrEqual(10_000)
    expect(Math.max(...found)).toBeLessThan(32_768)
    expect(new Set(found).size).toBeGreaterThan(10)
  })

  it('of an address that is not here says that the host is wrong', async () => {
    await expect(ports.isFree(10_000, '192.0.2.1')).rejects.toMatchObject({ code: 'host-invalid' })
  })
})
