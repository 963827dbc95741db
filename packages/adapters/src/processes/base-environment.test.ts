import { describe, expect, it } from 'vitest'
import { buildServerEnvironment } from './base-environment.ts'

const input = {
  home: '/home/ada',
  user: 'ada',
  nodeDirectory: '/opt/node/bin',
  tmpdir: '/tmp',
  extra: { KEY: 'value' },
}

describe('the environment of a server', () => {
  it('on Linux is this and nothing else', () => {
    expect(buildServerEnvironment({ ...input, platform: 'linux' })).toEqual({
      PATH: '/opt/node/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
      HOME: '/home/ada',
      USER: 'ada',
      LOGNAME: 'ada',
      LANG: 'C.UTF-8',
      TMPDIR: '/tmp',
      KEY: 'value',
    })
  })

  it('names no directory twice', () => {
    const { PATH } = buildServerEnvironment({ ...input, platform: 'linux', nodeDirectory: '/usr/bin' })
    expect(PATH).toBe('/usr/bin:/usr/local/bin:/bin:/usr/sbin:/sbin')
  })

  it("keeps the user's search path and lets given variables win", () => {
    const environment = buildServerEnvironment({
      ...input,
      platform: 'darwin',
      searchPath: '/mine',
      extra: { HOME: '/elsewhere' },
    })
    expect(environment['PATH']).toBe('/mine')
    expect(environment['HOME']).toBe('/elsewhere')
  })

  it('on Windows has what programs cannot start without', () => {
    const environment = buildServerEnvironment({ ...input, platform: 'win32', home: 'C:\\Users\\ada', tmpdir: 'C:\\T' })
    expect(environment).toMatchObject({
      SystemRoot: 'C:\\Windows',
      ComSpec: 'C:\\Windows\\System32\\cmd.exe',
      PATHEXT: '.COM;.EXE;.BAT;.CMD',
      TEMP: 'C:\\T',
      USERPROFILE: 'C:\\Users\\ada',
    })
  })
})
