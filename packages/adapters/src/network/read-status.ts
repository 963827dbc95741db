import type { Socket } from 'node:net'
import { networkLimits } from './network-limits.ts'

/** Reads the head of a proxy's answer to CONNECT and puts back what follows it; resolves to the status. */
export async function readStatus(socket: Socket): Promise<number> {
  let head = Buffer.alloc(0)
  return await new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      socket.pause().off('data', onData).off('error', onError).off('end', onEnd)
      finish()
    }
    const onError = (error: Error): void => settle(() => reject(error))
    const onEnd = (): void => settle(() => reject(new Error('it closed the connection')))
    const onData = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk])
      const end = head.indexOf('\r\n\r\n')
      if (end < 0 && head.length > networkLimits.headBytes) return onError(new Error('its answer has no end'))
      if (end < 0) return
      const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head.toString('latin1', 0, end))?.[1] ?? 0)
      settle(() => {
        if (head.length > end + 4) socket.unshift(head.subarray(end + 4))
        resolve(status)
      })
    }
    socket.on('data', onData).on('error', onError).on('end', onEnd)
  })
}
