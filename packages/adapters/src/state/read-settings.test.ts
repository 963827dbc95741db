import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { readSettings, type Settings } from './read-settings.ts'

let directory: string
let file: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'thv-settings-'))
  file = join(directory, 'config.yaml')
})
afterEach(async () => await rm(directory, { recursive: true }))

async function read(text: string): Promise<Settings> {
  await writeFile(file, text)
  return await readSettings(file, { FROM_SHELL: 'seen' })
}

it('a file that is not there says nothing', async () => {
  expect(await readSettings(file, {})).toEqual({ runtimeConfigs: {}, buildEnvironment: {}, unsupported: [] })
  expect(await read('')).toEqual(await read('registry_url: https://x.example\nllm: {models: [a]}\n'))
})

it('the runtime and what concerns builds is read from among the keys of ToolHive', async () => {
  const found = await read(`
clients: {registered_clients: []}
thv:
  runtime: process
ca_certificate_path: /ca.pem
build_env: {NPM_CONFIG_REGISTRY: 'https://npm.example'}
build_env_from_shell: [FROM_SHELL, NOT_THERE]
build_env_from_secrets: {TOKEN: name}
runtime_configs:
  npx: {builder_image: 'node:22-alpine', additional_packages: [jq], runtime_env: {A: b}}
  uvx:
`)
  expect(found).toEqual({
    runtime: 'process',
    caCertificatePath: '/ca.pem',
    buildEnvironment: { NPM_CONFIG_REGISTRY: 'https://npm.example', FROM_SHELL: 'seen' },
    runtimeConfigs: {
      npx: { builder_image: 'node:22-alpine', additional_packages: ['jq'], runtime_env: { A: 'b' } },
    },
    unsupported: ['build_env_from_secrets'],
  })
})

it.each([
  ['thv: {runtime: docker}', 'thv.runtime is not one of auto, container, process'],
  ['- a list', 'it is not a map of keys'],
  ['build_env: {A: 1}', 'build_env.A'],
  ['build_env_from_shell: A', 'build_env_from_shell is not a list'],
  ['runtime_configs: {npx: {additional_packages: jq}}', 'runtime_configs.npx.additional_packages'],
  ['a: [', 'Flow sequence'],
])('%j is refused with the reason', async (text, why) => {
  const error: unknown = await read(text).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'config-invalid' })
  expect(String(error)).toContain(why)
})

it('a link is not followed', async () => {
  await symlink('/etc/passwd', file)
  await expect(readSettings(file, {})).rejects.toMatchObject({ code: 'config-invalid' })
})
