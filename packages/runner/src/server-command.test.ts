import type { Confinement, NetworkAccess, RunConfig } from '@thv/core'
import { expect, it } from 'vitest'
import { buildServerCommand, type ServerCommandDeps } from './server-command.ts'

const config: RunConfig = {
  schema_version: 'v0.1.0',
  image: 'server:1',
  name: 'server',
  transport: 'stdio',
  host: '127.0.0.1',
  port: 1,
  permission_profile: null,
  container_labels: { team: 'a', 'toolhive-transport': 'forged' },
  thv: { runtime: 'container' },
}

function depsWith(network: NetworkAccess): ServerCommandDeps {
  const confinement: Confinement = { wish: 'auto', programPaths: [], mounts: [], covered: [], network }
  function unused(): never {
    throw new Error('an image needs none of it')
  }
  return {
    installers: unused,
    images: { isReachable: unused, pull: unused, build: unused },
    buildEnvironment: unused,
    packageDirectory: '/',
    planConfinement: async () => confinement,
  }
}

const networks: [NetworkAccess, string][] = [
  [{ kind: 'open' }, 'false'],
  [{ kind: 'none' }, 'false'],
  [{ kind: 'filtered', outbound: { allow_port: [443] } }, 'true'],
]

it.each(networks)('the labels of a container whose network is %j say so', async (network, isolated) => {
  const { image } = await buildServerCommand(depsWith(network), config, new AbortController().signal)
  expect(image?.labels).toMatchObject({
    team: 'a',
    'toolhive-transport': 'stdio',
    'toolhive-network-isolation': isolated,
  })
})
