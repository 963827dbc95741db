import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PermissionProfile } from '../domain/permission-profile.ts'
import { createFakeMachine } from '../fakes/fake-deps.ts'
import { createWorkloadSchema, type CreateWorkloadRequest } from '../schemas/workload-request.ts'
import { buildRunConfig } from './build-run-config.ts'
import { createWorkload } from './run-workload.ts'
import { readWorkloadRequest } from './read-workload-request.ts'
import { writeWorkloadRequest } from './write-workload-request.ts'

const never = new AbortController().signal
const least: CreateWorkloadRequest = { name: 'a', image: 'npx://pkg' }

describe('the body that creates a workload', () => {
  it('means an isolated network unless it says otherwise', () => {
    expect(readWorkloadRequest(least).isolateNetwork).toBe(true)
    expect(readWorkloadRequest({ ...least, network_isolation: false }).isolateNetwork).toBe(false)
  })

  it('says nothing with empty members, as encoders of other languages write them', () => {
    const empty: CreateWorkloadRequest = {
      ...least,
      url: '',
      host: '',
      group: '',
      transport: '',
      proxy_mode: '',
      target_port: 0,
      proxy_port: 0,
      secrets: [],
      volumes: [],
      tools: [],
      headers: [],
      oidc: { issuer: '', scopes: [] },
      oauth_config: { client_secret: { name: '', target: '' } },
      header_forward: { add_plaintext_headers: {} },
      allow_docker_gateway: false,
      runtime_config: {},
    }
    expect(readWorkloadRequest(empty)).toEqual(readWorkloadRequest(least))
  })

  it('takes an empty profile for one that allows nothing', () => {
    expect(readWorkloadRequest({ ...least, permission_profile: {} }).permissionProfile).toEqual({ profile: {} })
  })

  it('of a remote server leaves open what it speaks, and comes back as it was asked for', async () => {
    const asked = {
      name: 'far',
      url: 'https://a.test/mcp?b=c',
      header_forward: { add_plaintext_headers: { 'X-Team': 'notes' } },
      oauth_config: {
        issuer: 'https://as.test',
        client_id: 'mine',
        client_secret: { name: 'hush', target: 'oauth_secret' },
        scopes: ['a'],
        oauth_params: { prompt: 'login' },
        callback_port: 9000,
        skip_browser: true,
        resource: 'urn:x',
      },
    }
    const request = readWorkloadRequest(asked)
    const { client_secret: _secret, ...login } = asked.oauth_config
    expect(request.remote).toEqual({
      url: asked.url,
      headers: { 'X-Team': 'notes' },
      login: { ...login, client_secret: 'hush,target=oauth_secret' },
    })
    expect([request.transport, request.isolateNetwork]).toEqual([undefined, undefined])
    const { deps, configs } = createFakeMachine()
    await createWorkload(deps, { request }, () => {}, new AbortController().signal)
    const told = JSON.parse(JSON.stringify(writeWorkloadRequest(configs.get('far')!)))
    expect(told).toMatchObject(asked)
    expect(readWorkloadRequest(told)).toMatchObject({ remote: request.remote })
  })

  it.each<[string, Partial<CreateWorkloadRequest>]>([
    ['registry entries', { registry: 'default', server: 'fetch' }],
    ['authorization', { authz_config: '/a.json' }],
    ['incoming authentication', { oidc: { issuer: 'https://a' } }],
    ['a login at a server that is not remote', { oauth_config: { client_id: 'a' } }],
    ['registry entry', { headers: [{}] }],
    ['not remote', { header_forward: { add_plaintext_headers: { A: 'b' } } }],
    ['not remote', { header_forward: { add_headers_from_secret: { A: 'b' } } }],
    ['not remote', { oauth_config: { bearer_token: { name: 'a', target: 'bearer_token' } } }],
    ['at once', { url: 'https://a.test/mcp' }],
  ])('is refused for %s and not obeyed in part', (meaning, more) => {
    const read = (): unknown => readWorkloadRequest({ ...least, ...more })
    expect(read).toThrow(meaning)
    expect(read).toThrow(expect.objectContaining({ code: 'run-config-unsupported' }))
  })

  it.each<[string, Partial<CreateWorkloadRequest>, string]>([
    ['what is no URL', { image: '', url: 'a' }, 'invalid-argument'],
    ['nothing to run', { image: '' }, 'invalid-argument'],
    ['an unknown scheme', { image: 'nox://a' }, 'package-scheme-invalid'],
    ['an unknown transport', { transport: 'pigeon' }, 'invalid-argument'],
    ['an unknown proxy mode', { proxy_mode: 'stdio2' }, 'invalid-argument'],
    ['a target port of a stdio server', { target_port: 80 }, 'invalid-argument'],
    ['a profile that is none', { permission_profile: { read: ['a\0'] } }, 'permission-profile-invalid'],
  ])('is refused for %s', (_what, more, code) => {
    expect(() => readWorkloadRequest({ ...least, ...more })).toThrow(expect.objectContaining({ code }))
  })

  it('takes an image that was built here as it is, however it says that was done', () => {
    const image = 'toolhivelocal/npx-pkg:20261121'
    const request = readWorkloadRequest({ ...least, image, runtime_config: { builder_image: 'node:22' } })
    expect(request).toMatchObject({ image })
    expect(request.runtimeConfig).toBeUndefined()
  })

  it('builds the image of a package when it says how', () => {
    const request = readWorkloadRequest({
      ...least,
      runtime_config: { builder_image: 'node:22', runtime_env: { A: 'b' } },
    })
    expect(request).toMatchObject({
      runtime: 'container',
      runtimeConfig: { builder_image: 'node:22', runtime_env: { A: 'b' } },
    })
  })
})

const words = fc.stringMatching(/^[a-z]{1,8}$/)
const bodies: fc.Arbitrary<CreateWorkloadRequest> = fc.record(
  {
    name: fc.constant('a'),
    image: fc.constantFrom('npx://pkg@1.0.0', 'ghcr.io/a/b:1'),
    cmd_arguments: fc.array(words, { maxLength: 3 }),
    env_vars: fc.dictionary(words, fc.string(), { maxKeys: 3 }),
    network_isolation: fc.boolean(),
    trust_proxy_headers: fc.constant(true),
    tools: fc.array(words, { minLength: 1, maxLength: 3 }),
    proxy_mode: fc.constantFrom('sse', 'streamable-http'),
    permission_profile: fc.constantFrom<PermissionProfile[]>(
      { name: 'none' },
      { network: { outbound: { allow_host: ['example.com'] } } },
    ),
    volumes: fc.constant<string[]>(['/a:/b:ro']),
  },
  { requiredKeys: ['name', 'image'] },
)

it('a workload is shown as what would create it again', async () => {
  await fc.assert(
    fc.asyncProperty(bodies, async (body) => {
      const { deps } = createFakeMachine()
      const config = await buildRunConfig(deps, readWorkloadRequest(body), () => {}, never)
      const shown = writeWorkloadRequest(config)
      expect(createWorkloadSchema.safeParse(JSON.parse(JSON.stringify(shown))).error).toBeUndefined()
      const again = await buildRunConfig(deps, readWorkloadRequest(shown), () => {}, never)
      expect(again).toEqual(config)
    }),
  )
})
