import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { open, readlink, stat, type FileHandle } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { messageOf, ThvError } from '@thv/core'
import { networkArguments, type User } from './bubblewrap.ts'
import { processLimits } from './process-limits.ts'
import { presenceScript } from './sandbox-script.ts'
import { waitAtMost } from '../wait-at-most.ts'

/** A network with nothing in it but one program of ours, the holder. */
export interface OwnNetwork {
  /** Tells the holder what to do; resolves when it has said `ready`. Rejects with `isolation-unavailable`. */
  order(order: object): Promise<void>
  /** The command that runs another one in this network, with no power over it. It waits for nothing. */
  enter(command: readonly string[]): string[]
  /** Resolves when the holder has ended, for whatever reason. */
  readonly ended: Promise<void>
  /** Ends the holder and waits for its end. Idempotent. */
  close(): Promise<void>
}

/**
 * Starts the holder in a new network. It can be started before anything is known about
 * the server: its order comes by its input. That is also its life line: at the end of
 * input it leaves, and the kernel kills it with whoever started it.
 */
export async function openOwnNetwork(options: {
  bubblewrap: string
  user: User
  holder: readonly string[]
}): Promise<OwnNetwork> {
  const { bubblewrap, user, holder } = options
  const command = ['/bin/sh', '-c', presenceScript, 'network', ...holder]
  const child = spawn(bubblewrap, networkArguments(user, command), {
    // A signal for the whole terminal is the server's to obey; the holder ends after it.
    detached: true,
    cwd: '/',
    env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', () => resolve())
  })
  child.stdin.on('error', () => {})
  const said = followOutput(child, ended)
  let pinned: FileHandle[] = []
  const close = async (): Promise<void> => {
    killGroup(child)
    // Bubblewrap may be gone before the holder; the output ends with both.
    await waitAtMost(ended, processLimits.drainMs)
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
    await Promise.all(pinned.splice(0).map(async (handle) => await handle.close()))
  }
  try {
    const [pid = '', name = ''] = (await said.line()).split(' ')
    pinned = await pinNamespaces(pid, name)
    const [userSpace, network] = pinned
    return {
      async order(order) {
        child.stdin.write(`${JSON.stringify(order)}\n`)
        const answer = await said.line()
        if (answer !== 'ready') throw unusable(`it says '${answer.slice(0, 100)}'`)
      },
      enter(inner) {
        const held = `/proc/${process.pid}/fd`
        const spaces = [`--user=${held}/${userSpace?.fd ?? ''}`, `--net=${held}/${network?.fd ?? ''}`]
        return ['/usr/bin/nsenter', ...spaces, '--preserve-credentials', '--', ...inner]
      },
      ended,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/**
 * Holds the two namespaces of the holder, so that whoever enters by these descriptors gets these and no
 * other: a process id may belong to somebody else by then.
 */
async function pinNamespaces(pid: string, name: string): Promise<FileHandle[]> {
  const handles: FileHandle[] = []
  try {
    for (const kind of ['user', 'net']) handles.push(await open(`/proc/${pid}/ns/${kind}`))
    const found = `net:[${(await handles[1]?.stat())?.ino ?? ''}]`
    const own = await readlink('/proc/self/ns/net')
    if (found !== name || found === own) throw unusable('its network is another one')
    await stat('/usr/bin/nsenter').catch(() => {
      throw unusable('/usr/bin/nsenter is missing; it comes with util-linux')
    })
    return handles
  } catch (error) {
    await Promise.all(handles.map(async (handle) => await handle.close()))
    throw error instanceof ThvError ? error : unusable(messageOf(error))
  }
}

/** Lines of the holder, each within a limit of time; its last complaint is the reason when there is none. */
function followOutput(child: ChildProcessWithoutNullStreams, ended: Promise<void>): { line(): Promise<string> } {
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => (complaint = `${complaint}${chunk.toString()}`.slice(-500)))
  child.on('error', (error) => (complaint = messageOf(error)))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async line() {
      const next = lines.next()
      if (!(await waitAtMost(next, processLimits.forwarderReadyMs))) throw unusable('it does not get ready')
      const { value, done } = await next
      if (done === true) {
        // What it complained about may come after the end of its output.
        await waitAtMost(ended, processLimits.forwarderReadyMs)
        const [last = ''] = complaint.trim().split('\n').slice(-1)
        throw unusable(last === '' ? `it ends with code ${child.exitCode ?? 'none'} and no word` : last)
      }
      return value
    },
  }
}

/** Bubblewrap and the holder; the number of the group is theirs for as long as nobody has waited for the first. */
function killGroup({ pid, exitCode, signalCode }: ChildProcessWithoutNullStreams): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return
  process.kill(-pid, 'SIGKILL')
}

function unusable(why: string): ThvError {
  return new ThvError('isolation-unavailable', `the network of the sandbox cannot be made: ${why}`, {
    hint: "see 'thv doctor'; '--network host' needs no network of its own",
  })
}
