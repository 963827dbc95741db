import type { Duplex } from 'node:stream'

/**
 * Lets two connections speak to each other until both have ended; a failure of one ends the
 * other, also one from before.
 */
export function joinSockets(left: Duplex, right: Duplex): void {
  const end = (): void => {
    left.destroy()
    right.destroy()
  }
  if (left.destroyed || right.destroyed) return end()
  for (const socket of [left, right]) {
    socket.on('error', end)
    socket.on('close', () => {
      // What was written is still to be read by the other side.
      if (left.destroyed && right.destroyed) return
      const other = socket === left ? right : left
      if (socket.readableEnded) other.end()
      else other.destroy()
    })
  }
  left.pipe(right)
  right.pipe(left)
}
