import { randomUUID } from 'node:crypto'
import { testWorkloadRuntime } from '@thv/core/contracts'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { importNodeImage } from '../../../../test/fixtures/engines/base-image.ts'
import { podmanMissing, startPodman, type Podman } from '../../../../test/fixtures/engines/start-podman.ts'
import { createContainerRuntime } from './container-runtime.ts'
import { EngineClient } from './engine-client.ts'
import { createImageStore } from './image-store.ts'

const never = new AbortController().signal
// An import into Podman 4 keeps no other tag.
const image = 'localhost/thv-test-node:latest'
const targetPort = 8080
const missing = podmanMissing()

describe('Podman', { timeout: 60_000 }, () => {
  let podman: Podman
  let engine: EngineClient
  let instance: string

  beforeAll(async () => {
    if (missing !== undefined) return
    podman = await startPodman()
    await importNodeImage(podman.socketPath, image)
    engine = new EngineClient(podman.socketPath)
  }, 120_000)
  afterAll(async () => await podman?.stop(), 60_000)

  beforeEach((context) => {
    if (missing !== undefined) context.skip(missing)
    instance = randomUUID()
  })

  testWorkloadRuntime('a Podman container', async () => ({
    runtime: createContainerRuntime({ socketPath: podman.socketPath, instance }),
    node: (program, ...args) => ({
      command: ['node', '--input-type=module', '-e', program.replace('{port}', String(targetPort)), ...args],
      image: { reference: image, labels: {}, targetPort },
      workingDirectory: '',
      environment: {},
      port: targetPort,
    }),
    living: async () => (await engine.listContainers({ 'thv-instance': instance }, never)).length,
  }))

  it('has the image that was imported, and says of another that it is not there', async () => {
    const findSocket = async (): Promise<string> => podman.socketPath
    const store = createImageStore({ findSocket, now: () => new Date(), environment: {}, home: '/nonexistent' })
    await store.pull(image, () => {}, never)
    await expect(store.pull('toolhivelocal/none:1', () => {}, never)).rejects.toMatchObject({ code: 'image-not-found' })
  })
})
