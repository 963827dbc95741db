import {
  isThvError,
  ThvError,
  type Deployment,
  type DeploySpec,
  type ImageSpec,
  type ServerAddress,
  type WorkloadRuntime,
} from '@thv/core'
import { createAttachment, type Attachment } from './attachment.ts'
import { buildContainerBody } from './container-body.ts'
import { createContainerDeployment } from './container-deployment.ts'
import { openContainerNetwork, type ContainerNetwork, type ContainerNetworkOptions } from './container-network.ts'
import { waitAtMost } from '../wait-at-most.ts'
import { createNamed } from './create-named.ts'
import { containerLimits } from './container-limits.ts'
import { EngineClient } from './engine-client.ts'
import { EngineRefusal, isRefusal } from './engine-error.ts'
import { removeContainer } from './remove-container.ts'

/** How the container runtime is wired. */
export interface ContainerRuntimeOptions {
  /** Socket of the engine, as `findEngine` found it. */
  socketPath: string
  /** Tells the containers of one user's state from those of another on the same engine. */
  instance: string
  /** Without it a server whose network is to be filtered does not start. */
  network?: ContainerNetworkOptions
}

/**
 * Runs servers as containers of a Docker-compatible engine. A container is removed when
 * its server ends or is stopped; one that the engine could not remove at the time
 * is removed before the next deploy, and one whose supervisor was killed by the container table.
 */
export function createContainerRuntime(options: ContainerRuntimeOptions): WorkloadRuntime {
  const { socketPath, instance } = options
  const engine = new EngineClient(socketPath)
  const leftovers = new Set<string>()
  let boundsCpu = true

  async function remove(id: string): Promise<void> {
    try {
      await removeContainer(engine, id, AbortSignal.timeout(containerLimits.removeMs))
      leftovers.delete(id)
    } catch (error) {
      if (leftovers.size < containerLimits.leftovers) leftovers.add(id)
      throw error
    }
  }

  return {
    kind: 'container',
    async deploy(spec, signal) {
      const { image } = spec
      if (image === undefined) throw new ThvError('internal', 'the container runtime was given no image')
      try {
        return await deploy(spec, image, signal)
      } catch (error) {
        if (!boundsCpu || !lacksCpuControl(error)) throw error
        boundsCpu = false
        return await deploy(spec, image, signal)
      }
    },
  }

  async function deploy(spec: DeploySpec, image: ImageSpec, signal: AbortSignal): Promise<Deployment> {
    signal.throwIfAborted()
    // What still cannot be removed does not keep the next server from running.
    await Promise.allSettled([...leftovers].map(remove))
    // What the engine is still busy with comes to be without anybody wanting it, and nobody finds it any more when
    // this process ends before: so whoever gives up waits for that, for a while.
    const opening = openContainerNetwork({ engine, instance, remove, options: options.network }, spec, signal)
    const network = await orAbort(opening, signal).catch(async (error: unknown) => {
      await waitAtMost(
        opening.then(async (late) => await late?.close()),
        containerLimits.unwantedMs,
      )
      throw error
    })
    const creating = create(engine, { spec, image, network, boundsCpu }, instance)
    const id = await orAbort(creating, signal).catch(async (error: unknown) => {
      await waitAtMost(creating.then(remove), containerLimits.unwantedMs)
      await network?.close()
      throw error
    })
    const removeAll = async (): Promise<void> => {
      try {
        await remove(id)
      } finally {
        await network?.close()
      }
    }
    return await start({ engine, id, remove: removeAll, network }, { spec, image }, signal)
  }
}

/** What to run: the image, and the network that is shared. */
interface Wanted {
  spec: DeploySpec
  image: ImageSpec
  network: ContainerNetwork | undefined
  boundsCpu: boolean
}

async function create(
  engine: EngineClient,
  { spec, image, network, boundsCpu }: Wanted,
  instance: string,
): Promise<string> {
  const environment = { ...spec.environment, ...network?.environment }
  const place = { instance, boundsCpu, ...(network === undefined ? {} : { networkOf: network.id }) }
  try {
    return await createNamed(engine, spec.name, buildContainerBody({ ...spec, environment }, image, place))
  } catch (error) {
    if (isRefusal(error, 404)) throw imageNotFound(image.reference, error)
    throw error
  }
}

/** What a rootless engine says whose user was not given the processor's control group. */
function lacksCpuControl(error: unknown): boolean {
  const cause = isThvError(error) ? error.cause : error
  return cause instanceof EngineRefusal && /\bcpu\b.*not available/i.test(cause.reason)
}

/** The error for an image that is not on this machine. */
function imageNotFound(reference: string, cause: unknown): ThvError {
  return new ThvError('image-not-found', `the image '${reference}' is not there`, {
    hint: 'pull or build it again: run the workload once more',
    cause,
  })
}

async function start(
  created: { engine: EngineClient; id: string; remove: () => Promise<void>; network: ContainerNetwork | undefined },
  { spec, image }: { spec: DeploySpec; image: ImageSpec },
  signal: AbortSignal,
): Promise<Deployment> {
  const { engine, id } = created
  const life = new AbortController()
  let attachment: Attachment | undefined
  try {
    signal.throwIfAborted()
    // Both before the start, so that neither the first output nor a quick end is missed.
    if (spec.transport === 'stdio') attachment = createAttachment(await engine.attach(id, signal))
    const { exitCode } = await orAbort(engine.waitForContainer(id, 'next-exit', life.signal), signal)
    exitCode.catch(() => {})
    await engine.startContainer(id, signal)
    const address =
      created.network?.address ??
      (attachment === undefined ? await addressOf(engine, id, { image, signal }) : undefined)
    return createContainerDeployment({ ...created, attachment, address, exitCode, life }, spec)
  } catch (error) {
    life.abort()
    attachment?.close()
    // It will be tried again before the next deploy; the reason for the failure matters more.
    await created.remove().catch(() => {})
    throw startFailure(error, spec, image)
  }
}

/** The work's result, unless the signal aborts first; the work goes on then, unheard. */
async function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = (): void => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

async function addressOf(
  engine: EngineClient,
  id: string,
  { image, signal }: { image: ImageSpec; signal: AbortSignal },
): Promise<ServerAddress | undefined> {
  const { ports, running } = await engine.inspectContainer(id, signal)
  const bound = ports[`${image.targetPort ?? 0}/tcp`]?.find(({ port }) => port > 0)
  if (bound !== undefined) return { host: '127.0.0.1', port: bound.port }
  // The ports of one that has already ended are gone; its exit is the news.
  if (!running) return undefined
  throw new ThvError('server-exited', `the engine publishes no port of the container for ${image.reference}`, {
    hint: 'look at the network settings of the engine',
  })
}

/** What runtimes of containers say when there is no such program in the image. */
const noSuchProgram = /executable file (?:`[^`]*` )?not found|no such file or directory|stat .*: no such file/i

function startFailure(error: unknown, spec: DeploySpec, image: ImageSpec): unknown {
  if (!(error instanceof EngineRefusal)) return error
  if (noSuchProgram.test(error.reason)) {
    const program = spec.command[0] ?? 'the program'
    return new ThvError('command-not-found', `cannot start '${program}' in '${image.reference}': ${error.reason}`, {
      hint: 'check the arguments after --, which this image takes for a program',
      cause: error,
    })
  }
  return new ThvError('server-exited', `the container cannot be started: ${error.reason}`, {
    hint: 'see the log of the engine for more',
    cause: error,
  })
}
