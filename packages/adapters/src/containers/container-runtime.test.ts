import { randomUUID } from 'node:crypto'
import { testWorkloadRuntime } from '@thv/core/contracts'
import { afterAll, beforeAll, describe } from 'vitest'
import { importNodeImage } from '../../../../test/fixtures/engines/base-image.ts'
import { dockerdMissing, startDockerd } from '../../../../test/fixtures/engines/start-dockerd.ts'
import { createContainerRuntime } from './container-runtime.ts'
import { EngineClient } from './engine-client.ts'

const never = new AbortController().signal
const image = 'thv-test-node:1'
const targetPort = 8080
const missing = dockerdMissing()

describe('Docker', { timeout: 60_000 }, () => {
  let dockerd: Awaited<ReturnType<typeof startDockerd>>

  beforeAll(async () => {
    if (missing !== undefined) return
    dockerd = await startDockerd()
    await importNodeImage(dockerd.socketPath, image)
  }, 120_000)
  afterAll(async () => await dockerd?.stop(), 60_000)

  testWorkloadRuntime('a Docker container', async (skip) => {
    if (missing !== undefined) skip(missing)
    const { socketPath } = dockerd
    const instance = randomUUID()
    return {
      runtime: createContainerRuntime({ socketPath, instance }),
      node: (program, ...args) => ({
        command: ['node', '--input-type=module', '-e', program.replace('{port}', String(targetPort)), ...args],
        image: { reference: image, labels: {}, targetPort },
        workingDirectory: '',
        environment: {},
        port: targetPort,
      }),
      living: async () =>
        (await new EngineClient(socketPath).listContainers({ 'thv-instance': instance }, never)).length,
    }
  })
})
