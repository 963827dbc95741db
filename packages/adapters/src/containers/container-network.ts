import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { userInfo } from 'node:os'
import { dirname, basename } from 'node:path'
import { createInterface } from 'node:readline'
import { messageOf, ThvError, type DeploySpec, type ServerAddress } from '@thv/core'
import { openForwardedNetwork, proxyEnvironment, type NetworkOpeners } from '../forwarded-network.ts'
import { waitAtMost } from '../wait-at-most.ts'
import { createAttachment } from './attachment.ts'
import { containerLabels } from './container-body.ts'
import { containerLimits } from './container-limits.ts'
import { createNamed } from './create-named.ts'
import type { EngineClient } from './engine-client.ts'
import { isRefusal } from './engine-error.ts'
import type { JsonObject } from './read-json.ts'

/** What a network of its own for a container is made of. */
export interface ContainerNetworkOptions extends NetworkOpeners {
  /** Image with Node, and the script in a directory of this machine that has all it needs. */
  forwarder: { image: string; script: string }
  /** Makes a short path, 0700, for unix sockets. */
  createDirectory: () => Promise<{ path: string; remove(): Promise<void> }>
  /** Makes sure that an image is on the engine. */
  pull: (reference: string, signal: AbortSignal) => Promise<void>
}

/** A network with nothing in it but a forwarder, which has a container of its own. */
export interface ContainerNetwork {
  /** Id of the forwarder's container, whose network the server shares. */
  id: string
  /** Tells the server's programs of the proxy. */
  environment: Record<string, string>
  /** Where this machine reaches a server that speaks HTTP. */
  address: ServerAddress | undefined
  /** Never rejects, and may be called again. */
  close(): Promise<void>
}

interface Context {
  engine: EngineClient
  instance: string
  remove: (id: string) => Promise<void>
  options: ContainerNetworkOptions | undefined
}

/**
 * Starts the forwarder of a server whose network is filtered, or that speaks HTTP and has no
 * network; undefined for all others. `isolation-unavailable` when this engine cannot do it:
 * such a server must not start.
 */
export async function openContainerNetwork(
  { engine, instance, remove, options }: Context,
  spec: DeploySpec,
  signal: AbortSignal,
): Promise<ContainerNetwork | undefined> {
  const network = spec.confinement?.network ?? { kind: 'open' }
  const isHttp = spec.transport !== 'stdio'
  if (network.kind !== 'filtered' && !(network.kind === 'none' && isHttp)) return undefined
  if (options === undefined) throw unavailable('nothing here opens a way out', undefined)
  const opened: (() => Promise<void>)[] = []
  const close = closerOf(opened)
  try {
    const directory = await options.createDirectory()
    opened.push(async () => await directory.remove())
    const port = isHttp ? spec.image?.targetPort : undefined
    const listen = port === undefined ? undefined : { host: '127.0.0.1', port }
    const publish = listen === undefined ? undefined : { host: '127.0.0.1', port: 0 }
    const wanted = { network, listen, publish, directory: directory.path }
    const { order, inboundPort } = (await openForwardedNetwork(options, wanted, opened)) ?? { order: {} }
    opened.push(await openLife(`${directory.path}/life.sock`))
    const body = forwarderBody(options, { spec, instance, order, directory: directory.path })
    const id = await create({ engine, options, name: `${spec.name}-network` }, body, signal)
    opened.push(async () => await remove(id))
    await startForwarder(engine, id, signal)
    return {
      id,
      environment: network.kind === 'filtered' ? proxyEnvironment(port) : {},
      address: inboundPort === undefined ? undefined : { host: '127.0.0.1', port: inboundPort },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** What the forwarder holds on to: when this process is killed, the kernel lets go of it. Resolves to what closes it. */
async function openLife(socketPath: string): Promise<() => Promise<void>> {
  const held = new Set<Socket>()
  const server = createServer((socket) => {
    held.add(socket.on('error', () => {}).resume())
  })
  server.maxConnections = 1
  server.listen(socketPath)
  await once(server, 'listening')
  return async () => {
    const closed = once(server, 'close')
    server.close()
    for (const socket of held) socket.destroy()
    await closed
  }
}

/** Closes what was opened, the last first. What fails does not keep the rest open. */
function closerOf(opened: readonly (() => Promise<void>)[]): () => Promise<void> {
  let closing: Promise<void> | undefined
  return async () => {
    closing ??= (async () => {
      for (const close of opened.toReversed()) await close().catch(() => {})
    })()
    await closing
  }
}

const sockets = '/run/thv'
const program = '/opt/thv'

/** No capability, no network and nothing of this machine but the sockets and the program. */
function forwarderBody(
  { forwarder }: ContainerNetworkOptions,
  given: { spec: DeploySpec; instance: string; order: object; directory: string },
): JsonObject {
  const { uid, gid } = userInfo()
  const order = JSON.stringify({ directory: sockets, life: true, ...given.order })
  return {
    Image: forwarder.image,
    Entrypoint: ['node', `${program}/${basename(forwarder.script)}`, order],
    // The owner of the sockets; a root without capabilities could not open another's.
    User: `${uid}:${gid}`,
    Labels: {
      [containerLabels.toolhive]: 'true',
      [containerLabels.auxiliary]: 'true',
      [containerLabels.name]: given.spec.name,
      [containerLabels.instance]: given.instance,
    },
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      NetworkMode: 'none',
      // The forwarder answers lookups; the server's container has the same resolv.conf.
      Dns: ['127.0.0.1'],
      Sysctls: { 'net.ipv4.ip_unprivileged_port_start': '0' },
      CapDrop: ['ALL'],
      SecurityOpt: ['label:disable', 'no-new-privileges'],
      ReadonlyRootfs: true,
      RestartPolicy: { Name: 'no' },
      // It ends with this process, and nobody else would know of it.
      AutoRemove: true,
      PidsLimit: containerLimits.containerProcesses,
      LogConfig: { Type: 'none' },
      Mounts: [
        { Type: 'bind', Source: dirname(forwarder.script), Target: program, ReadOnly: true },
        { Type: 'bind', Source: given.directory, Target: sockets, ReadOnly: false },
      ],
    },
  }
}

async function create(
  { engine, options, name }: { engine: EngineClient; options: ContainerNetworkOptions; name: string },
  body: JsonObject,
  signal: AbortSignal,
): Promise<string> {
  const { image } = options.forwarder
  try {
    return await createNamed(engine, name, body)
  } catch (error) {
    if (!isRefusal(error, 404)) throw error
  }
  try {
    await options.pull(image, signal)
  } catch (error) {
    signal.throwIfAborted()
    throw unavailable(`its filter needs the image '${image}': ${messageOf(error)}`, error)
  }
  signal.throwIfAborted()
  return await createNamed(engine, name, body)
}

async function startForwarder(engine: EngineClient, id: string, signal: AbortSignal): Promise<void> {
  const attachment = createAttachment(await engine.attach(id, signal))
  const said: string[] = []
  let isReady = false
  try {
    createInterface({ input: attachment.stderr }).on('line', (line) => {
      if (said.length < containerLimits.forwarderLines) said.push(line)
    })
    const settled = new Promise<void>((resolve) => {
      createInterface({ input: attachment.stdout }).on('line', (line) => {
        isReady ||= line === 'ready'
        resolve()
      })
      void attachment.ended.then(() => resolve())
    })
    await engine.startContainer(id, signal)
    await waitAtMost(settled, containerLimits.forwarderReadyMs)
    signal.throwIfAborted()
    if (!isReady) throw unavailable(`its filter does not run: ${reasonOf(said)}`, undefined)
  } finally {
    attachment.close()
  }
}

/** Node prints the source line first; the error is what begins with its name. */
function reasonOf(said: readonly string[]): string {
  return said.find((line) => /^\w*Error\b/.test(line)) ?? said.at(-1) ?? 'it says nothing'
}

function unavailable(why: string, cause: unknown): ThvError {
  return new ThvError('isolation-unavailable', `the network of the container cannot be filtered: ${why}`, {
    hint: "run the package as a process, or with '--network none', or with '--isolate-network=false' if you trust it",
    cause,
  })
}
