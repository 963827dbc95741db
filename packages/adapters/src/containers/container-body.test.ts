import type { Confinement, DeploySpec } from '@thv/core'
import { describe, expect, it } from 'vitest'
import { buildContainerBody } from './container-body.ts'

const bare: Confinement = {
  wish: 'auto',
  programPaths: 'discover',
  mounts: [],
  covered: [],
  network: { kind: 'open' },
}

function hostConfig(confinement: Partial<Confinement>, networkOf?: string): Record<string, unknown> {
  const spec: DeploySpec = {
    name: 'server',
    transport: 'sse',
    command: [],
    environment: {},
    workingDirectory: '',
    confinement: { ...bare, ...confinement },
    onOutput() {},
  }
  const place = networkOf === undefined ? { instance: 'i' } : { instance: 'i', networkOf }
  const body = buildContainerBody(spec, { reference: 'image:1', labels: {}, targetPort: 8080 }, place)
  return { ...(body['HostConfig'] as Record<string, unknown>), ExposedPorts: body['ExposedPorts'] }
}

describe('the container of a confined server', () => {
  it('has its mounts, and something empty over what is covered', () => {
    const { Mounts } = hostConfig({
      mounts: [
        { source: '/a:b', target: '/data', writable: false },
        { source: '/out', target: '/out', writable: true },
      ],
      covered: [
        { target: '/data/.env', isDirectory: false },
        { target: '/data/vault', isDirectory: true },
      ],
    })
    expect(Mounts).toEqual([
      { Type: 'bind', Source: '/a:b', Target: '/data', ReadOnly: true },
      { Type: 'bind', Source: '/out', Target: '/out', ReadOnly: false },
      { Type: 'bind', Source: '/dev/null', Target: '/data/.env', ReadOnly: true },
      { Type: 'tmpfs', Target: '/data/vault', ReadOnly: true, TmpfsOptions: { SizeBytes: 4096, Mode: 0o555 } },
    ])
  })

  it('gets no swap beside its memory', () => {
    const { Memory, MemorySwap } = hostConfig({})
    expect(MemorySwap).toBe(Memory)
  })

  it('is on the usual network, on one by name, or on none', () => {
    expect(hostConfig({})).not.toHaveProperty('NetworkMode')
    expect(hostConfig({ network: { kind: 'joined', network: 'team' } })['NetworkMode']).toBe('team')
    expect(hostConfig({ network: { kind: 'none' } })['NetworkMode']).toBe('none')
  })

  it('shares a filtered network and publishes nothing, and without one to share has none', () => {
    const network = { kind: 'filtered' as const, outbound: { allow_host: ['a.example'] } }
    const shared = hostConfig({ network }, 'forwarder')
    expect(shared['NetworkMode']).toBe('container:forwarder')
    expect(shared['PortBindings']).toBeUndefined()
    expect(shared['ExposedPorts']).toBeUndefined()
    expect(hostConfig({ network })['NetworkMode']).toBe('none')
  })

  it('has all powers only when its confinement says so', () => {
    expect(hostConfig({})).toMatchObject({ Privileged: false, CapDrop: ['ALL'] })
    const privileged = hostConfig({ privileged: true })
    expect(privileged['Privileged']).toBe(true)
    expect(privileged).not.toHaveProperty('CapDrop')
  })
})
