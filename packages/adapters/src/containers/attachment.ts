import { once } from 'node:events'
import { PassThrough, Writable, type Duplex, type Readable } from 'node:stream'
import { StreamDemux } from './stream-demux.ts'

/** The input and output of a container, taken apart. */
export interface Attachment {
  input: Writable
  stdout: Readable
  stderr: Readable
  /** Resolves when there is no more output: undefined for a proper end, else why the stream broke. Never rejects. */
  ended: Promise<Error | undefined>
  /** Gives the connection up, and what was not read. */
  close(): void
}

/**
 * Makes streams of the connection to an attached container. Whoever reads `stdout` or
 * `stderr` slowly slows the container down, not this process. Ending `input` half-closes
 * the connection, and the engine then closes the container's input.
 */
export function createAttachment(connection: Duplex): Attachment {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const input = writerTo(connection)
  // Errors of the connection are told by `ended`.
  for (const stream of [connection, input, stdout, stderr]) stream.on('error', () => {})
  // A write is then told that nobody reads it. Not before: whoever hears the input close may stop reading the output.
  stdout.once('close', () => input.destroy())
  return {
    input,
    stdout,
    stderr,
    ended: followInput(),
    close() {
      for (const stream of [connection, stdout, stderr]) stream.destroy()
    },
  }

  async function followInput(): Promise<Error | undefined> {
    const error = await follow(connection, { stdout, stderr })
    stdout.end()
    stderr.end()
    return error
  }
}

/** Takes a stream in frames apart. Resolves at its end: undefined for a proper one, else why it broke. Never rejects. */
export async function follow(
  frames: Readable | Duplex,
  targets: { stdout: Writable; stderr: Writable },
): Promise<Error | undefined> {
  const demux = new StreamDemux()
  try {
    for await (const chunk of frames) {
      if (!Buffer.isBuffer(chunk)) continue
      for (const { stream, bytes } of demux.push(chunk)) await writeTo(targets[stream], bytes)
    }
    if (!demux.isAtBoundary) throw new Error('the output of the container broke off')
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

/** Resolves when the target takes more; a target that was given up takes everything. */
async function writeTo(target: Writable, bytes: Buffer): Promise<void> {
  if (target.destroyed || target.write(bytes)) return
  const over = new AbortController()
  try {
    const { signal } = over
    await Promise.race([once(target, 'drain', { signal }), once(target, 'close', { signal })])
  } finally {
    over.abort()
  }
}

/** A writer of its own, because the connection itself can be written to after its other end is gone. */
function writerTo(connection: Duplex): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      connection.write(chunk, done)
    },
    final(done) {
      connection.end(done)
    },
  })
}
