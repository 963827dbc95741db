import {
  builtImagePrefix,
  isMovingReference,
  isThvError,
  messageOf,
  parseImageReference,
  registryOf,
  ThvError,
  type ProgressListener,
} from '@thv/core'
import { EngineRefusal } from './engine-error.ts'
import type { EngineClient } from './engine-client.ts'
import { readJsonStream } from './json-stream.ts'
import { textIn } from './read-json.ts'
import { encodeAuth, registryAuth, type DockerConfigPlace } from './registry-auth.ts'

/** Makes sure that an image is on the engine; see `ImageStore.pull`. */
export async function pullImage(
  context: { engine: EngineClient; place: DockerConfigPlace },
  text: string,
  progress: ProgressListener,
  signal: AbortSignal,
): Promise<void> {
  const { engine } = context
  const reference = parseImageReference(text)
  const isThere = (await engine.findImage(text, signal)) !== undefined
  if (isThere && (!isMovingReference(reference) || text.startsWith(builtImagePrefix))) return
  if (text.startsWith(builtImagePrefix)) throw gone(text)
  try {
    const auth = encodeAuth(await registryAuth(context.place, registryOf(reference), signal))
    const what = reference.digest ?? reference.tag ?? 'latest'
    await follow(await engine.pullImage(reference.repository, what, auth, signal), progress)
    if ((await engine.findImage(text, signal)) === undefined)
      throw new Error('the engine does not have it after the pull')
  } catch (error) {
    signal.throwIfAborted()
    if (isThvError(error) && error.code === 'engine-unreachable') throw error
    if (!isThere) throw explain(text, error)
    progress(`${text} could not be pulled (${messageOf(error)}); the copy on this machine is used`)
    return
  }
  progress(`Successfully pulled ${text}`)
}

/** One line for each layer that is done: a terminal has no use for its bytes. */
async function follow(chunks: AsyncIterable<unknown>, progress: ProgressListener): Promise<void> {
  for await (const event of readJsonStream(chunks)) {
    const error = textIn(event, 'error')
    if (error !== undefined) throw new Error(error)
    const layer = textIn(event, 'id')
    const status = textIn(event, 'status')
    if (status === 'Pull complete' || status === 'Already exists') progress(`${layer ?? ''}: ${status}`)
  }
}

const missing = /not found|manifest unknown|no such image|does not exist|name unknown/i
const denied = /unauthorized|authentication required|denied|no basic auth credentials/i

function explain(text: string, error: unknown): ThvError {
  const why = error instanceof EngineRefusal ? error.reason : messageOf(error)
  if (missing.test(why)) return notFound(text, error)
  if (denied.test(why)) {
    return new ThvError('image-denied', `the registry does not hand out '${text}': ${why}`, {
      hint: "log in with 'docker login', or check the name of the image",
      cause: error,
    })
  }
  return new ThvError('engine-failed', `the image '${text}' could not be pulled: ${why}`, {
    hint: 'check the network and the address of the registry, and try again',
    cause: error,
  })
}

function gone(text: string): ThvError {
  return new ThvError('image-not-found', `the image '${text}', which was built here, is not there any more`, {
    hint: 'remove the workload and run its package again',
  })
}

function notFound(text: string, cause: unknown): ThvError {
  // Tools match on this sentence: spec/local 3.2.
  return new ThvError('image-not-found', `image not found in registry, please check the image name or tag: ${text}`, {
    hint: 'look it up in the registry',
    cause,
  })
}
