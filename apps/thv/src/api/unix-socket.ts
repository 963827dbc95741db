import { chmod, lstat, mkdir, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { dirname } from 'node:path'
import { messageOf, systemCodeOf, ThvError } from '@thv/core'

/** Somebody who listens answers a connect at once. */
const connectMs = 1_000
const directoryMode = 0o750
const socketMode = 0o660
/** What the smallest of the systems takes (macOS, 104 with its end); a longer one would be cut, and another file made. */
const pathBytes = 103

/**
 * Binds a server to a path: its directory is made 0750 when it is missing, the socket is 0660.
 * What a dead server left there is removed; `address-in-use` for a socket that answers, and for
 * anything that is no socket of this user; `invalid-argument` for a path of more than 103 bytes.
 */
export async function bindSocket(server: Server, path: string): Promise<void> {
  if (Buffer.byteLength(path) > pathBytes) {
    throw new ThvError('invalid-argument', `the socket '${path}' has more than ${pathBytes} bytes`, {
      hint: 'choose a shorter --socket: systems cut what is longer',
    })
  }
  await mkdir(dirname(path), { recursive: true, mode: directoryMode })
  await removeDead(path)
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error): void => reject(inUse(path, messageOf(error), error))
    server.once('error', fail)
    // Between bind and chmod nobody else may connect.
    const before = process.umask(0o777 & ~socketMode)
    server.listen(path, () => {
      server.off('error', fail)
      resolve()
    })
    process.umask(before)
  })
  await chmod(path, socketMode)
}

async function removeDead(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (systemCodeOf(error) === 'ENOENT') return undefined
    throw inUse(path, messageOf(error), error)
  })
  if (found === undefined) return
  if (!found.isSocket()) throw inUse(path, 'it is there already, and is no socket')
  if (found.uid !== process.getuid?.()) throw inUse(path, 'it belongs to another user')
  if (await answers(path)) throw inUse(path, 'address already in use')
  await unlink(path)
}

/** Only a refusal says that nobody listens; whatever else happens, somebody may. */
async function answers(path: string): Promise<boolean> {
  return await new Promise<boolean>((resolve) => {
    const socket = connect({ path, timeout: connectMs })
    const settle = (isAlive: boolean): void => {
      socket.destroy()
      resolve(isAlive)
    }
    socket.once('connect', () => settle(true))
    socket.once('timeout', () => settle(true))
    socket.once('error', (error) => settle(systemCodeOf(error) !== 'ECONNREFUSED'))
  })
}

function inUse(path: string, why: string, cause?: unknown): ThvError {
  return new ThvError('address-in-use', `cannot listen on '${path}': ${why}`, {
    hint: 'choose another --socket, or end what uses it',
    cause,
  })
}
