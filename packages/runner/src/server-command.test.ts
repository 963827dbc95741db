import type { Confinement, NetworkAccess, RunConfig } from '@thv/core'
import { createFakeMachine } from '@thv/core/fakes'
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

const { signal } = new AbortController()
const machine = createFakeMachine()

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
    userSecrets: machine.deps.userSecrets,
  }
}

const networks: [NetworkAccess, string][] = [
  [{ kind: 'open' }, 'false'],
  [{ kind: 'none' }, 'false'],
  [{ kind: 'filtered', outbound: { allow_port: [443] } }, 'true'],
]

it.each(networks)('the labels of a container whose network is %j say so', async (network, isolated) => {
  const { image } = await buildServerCommand(depsWith(network), config, signal)
  expect(image?.labels).toMatchObject({
    team: 'a',
    'toolhive-transport': 'stdio',
    'toolhive-network-isolation': isolated,
  })
})

it('a secret is a variable of the server and nothing else', async () => {
  machine.secrets.set('github', 'hidden')
  const wanted = { ...config, env_vars: { PLAIN: '1', TOKEN: 'older' }, secrets: ['github,target=TOKEN'] }
  const { environment, ...rest } = await buildServerCommand(depsWith({ kind: 'open' }), wanted, signal)
  expect(environment).toMatchObject({ PLAIN: '1', TOKEN: 'hidden' })
  expect(JSON.stringify(rest)).not.toContain('hidden')
})

it('without a secret there is no server', async () => {
  const wanted = { ...config, secrets: ['none,target=TOKEN'] }
  const building = buildServerCommand(depsWith({ kind: 'open' }), wanted, signal)
  await expect(building).rejects.toMatchObject({ code: 'secret-not-found', message: expect.stringContaining("'none'") })
})
