import { expect, test } from 'vitest'
import { checkDesktopAlignment, desktopConflictError, type DesktopAlignmentInputs } from './desktop-alignment.ts'

const marker = {
  schema_version: 1,
  source: 'desktop',
  install_method: 'symlink',
  symlink_target: '/opt/toolhive/thv',
  flatpak_target: '',
}

test('another thv of ToolHive Desktop is a conflict with both real paths', async () => {
  expect(await checkDesktopAlignment(machine(marker))).toEqual({ target: '/opt/toolhive/thv', running: '/usr/bin/thv' })
})

test('the same program behind different links is no conflict', async () => {
  const links = { '/opt/toolhive/thv': '/real/thv', '/usr/bin/thv': '/real/thv' }
  expect(await checkDesktopAlignment(machine(marker, { links }))).toBeUndefined()
})

test.each([
  ['no marker', undefined],
  ['broken JSON', '{'],
  ['a list', '[]'],
  ['null', 'null'],
  ['another schema version', { ...marker, schema_version: 2 }],
  ['another source', { ...marker, source: 'homebrew' }],
  ['an unknown method', { ...marker, install_method: 'magic' }],
  ['no target', { ...marker, symlink_target: '' }],
  ['a target of the wrong type', { ...marker, symlink_target: 7 }],
  ['a target that is gone', { ...marker, symlink_target: '/gone' }],
  ['a copy on a platform that has none', { ...marker, install_method: 'copy' }],
])('%s is ignored', async (_, content) => {
  expect(await checkDesktopAlignment(machine(content))).toBeUndefined()
})

test('a flatpak is compared by its own target', async () => {
  const content = { ...marker, install_method: 'flatpak', flatpak_target: '/flat/thv' }
  const found = await checkDesktopAlignment(machine(content, { links: { '/flat/thv': '/flat/thv' } }))
  expect(found?.target).toBe('/flat/thv')
})

test('the copy on Windows lies in the local application data, and case does not matter', async () => {
  const target = 'C:\\Local\\ToolHive\\bin\\thv.exe'
  const content = { ...marker, install_method: 'copy' }
  const windows = { platform: 'win32', localAppData: 'C:\\Local', links: { [target]: target } } as const
  expect(await checkDesktopAlignment(machine(content, { ...windows, runningExecutable: 'D:\\thv.exe' }))).toEqual({
    target,
    running: 'D:\\thv.exe',
  })
  const same = machine(content, { ...windows, runningExecutable: target.toLowerCase() })
  expect(await checkDesktopAlignment(same)).toBeUndefined()
})

test('the error begins as tools expect and names both programs and what to do', () => {
  const error = desktopConflictError({ target: '/a/thv', running: '/b/thv' })
  expect(error.code).toBe('cli-conflict')
  expect(error.message).toMatch(/^CLI conflict detected/)
  for (const part of ['ToolHive Desktop', '/a/thv', '/b/thv', '~/.toolhive/bin']) {
    expect(`${error.message} ${error.hint}`).toContain(part)
  }
})

function machine(
  content: unknown,
  more: Partial<DesktopAlignmentInputs> & { links?: Record<string, string> } = {},
): DesktopAlignmentInputs {
  const { links = { '/opt/toolhive/thv': '/opt/toolhive/thv' }, ...inputs } = more
  const home = more.platform === 'win32' ? 'C:\\home' : '/home/ann'
  const file = more.platform === 'win32' ? 'C:\\home\\.toolhive\\.cli-source' : '/home/ann/.toolhive/.cli-source'
  return {
    home,
    platform: 'linux',
    localAppData: undefined,
    runningExecutable: '/usr/bin/thv',
    readFile: (path) => {
      if (path !== file || content === undefined) return Promise.reject(new Error('ENOENT'))
      return Promise.resolve(typeof content === 'string' ? content : JSON.stringify(content))
    },
    realpath: (path) => {
      const found = links[path]
      return found === undefined ? Promise.reject(new Error('ENOENT')) : Promise.resolve(found)
    },
    ...inputs,
  }
}
