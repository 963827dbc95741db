import { spawn, spawnSync } from 'node:child_process'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import { collect, fixture, openWorld, root, type World } from './harness.ts'

let world: World
let environment: Record<string, string>

beforeAll(async () => {
  world = await openWorld()
  await world.ok('run', '--name', 'alpha', '--', ...fixture('stdio-server.mjs'))
  await world.ok('run', '--name', 'alps', '--', ...fixture('stdio-server.mjs'))
  await world.ok('stop', 'alps')
  const bin = join(world.directory, 'bin')
  await mkdir(bin)
  await writeFile(join(world.directory, 'a file.json'), '{}')
  await writeFile(
    join(bin, 'thv'),
    `#!/bin/sh\nexec '${process.execPath}' -- '${join(root, 'apps/thv/bin/thv.mjs')}' "$@"\n`,
  )
  await chmod(join(bin, 'thv'), 0o755)
  environment = { ...world.environment, PATH: `${bin}${delimiter}${world.environment['PATH'] ?? ''}` }
})

afterAll(async () => {
  await world.close()
})

describe('thv __complete', () => {
  it.each<[words: string[], wanted: string[]]>([
    [['li'], ['list']],
    [['st'], ['start', 'stop', 'status']],
    [
      ['mcp', ''],
      ['list', 'call'],
    ],
    [['cache', 'p'], ['prune']],
    [
      ['server', 's'],
      ['start', 'stop', 'status'],
    ],
    [
      ['stop', ''],
      ['alpha', 'alps'],
    ],
    [['stop', 'alph'], ['alpha']],
    [
      ['stop', 'alpha', 'al'],
      ['alpha', 'alps'],
    ],
    [
      ['status', 'al'],
      ['alpha', 'alps'],
    ],
    [['list', '--form'], ['--format']],
    [
      ['list', '--format', ''],
      ['text', 'json', 'mcpservers'],
    ],
    [
      ['run', '--transport', 's'],
      ['stdio', 'sse', 'streamable-http'],
    ],
    [['list', '--group', ''], ['default']],
    [
      ['mcp', 'list', '--server', 'al'],
      ['alpha', 'alps'],
    ],
    [['completion', 'z'], ['zsh']],
    [
      ['mcp', 'list', ''],
      ['tools', 'resources', 'prompts'],
    ],
    [['stop', '--de'], ['--debug']],
    [['mcp', 'call', '--he'], ['--help']],
    [['run', '--env-file', ''], [':files']],
    [['run', '--name', 'x', '--', 'node', ''], [':files']],
    [['frobnicate', 'x'], []],
  ])('%j is answered with %j', async (words, wanted) => {
    const lines = (await world.ok('__complete', '--', ...words)).split('\n').filter((line) => line !== '')
    expect(lines.map((line) => line.split('\t')[0] ?? '').toSorted()).toEqual(wanted.toSorted())
  })

  it('offers every command but itself, each with a summary', async () => {
    const lines = (await world.ok('__complete', '--', '')).trim().split('\n')
    expect(lines.map((line) => line.split('\t')[0])).toEqual(
      expect.arrayContaining(['run', 'list', 'doctor', 'version']),
    )
    expect(lines.filter((line) => line.startsWith('__'))).toEqual([])
    for (const line of lines) expect(line).toMatch(/^\S+\t\S/)
  })
})

describe('the script for bash', () => {
  it('completes commands, names and files', async (ctx) => {
    requireProgram(ctx, 'bash')
    const complete = async (...words: string[]) =>
      await inShell('bash', [
        '--norc',
        '-c',
        `source <(thv completion bash)
compopt() { echo "compopt $*"; }
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_thv_complete
printf '%s\\n' "\${COMPREPLY[@]}"
complete -p thv >/dev/null`,
        'bash',
        ...words,
      ])
    expect(await complete('thv', 'li')).toEqual(['list'])
    expect(await complete('thv', 'stop', 'al')).toEqual(['alpha', 'alps'])
    expect(await complete('thv', 'stop', '')).toEqual(['alpha', 'alps'])
    expect(await complete('thv', 'list', '--format', 'j')).toEqual(['json'])
    expect(await complete('thv', 'run', '--from-config', '')).toEqual(['compopt -o default'])
  })
})

describe('the script for fish', () => {
  it('completes commands, names and files', async (ctx) => {
    requireProgram(ctx, 'fish')
    const complete = async (line: string) => {
      const out = await inShell('fish', [
        '--no-config',
        '-c',
        'thv completion fish | source; complete -C $argv[1]',
        line,
      ])
      return out.map((text) => text.split('\t')[0])
    }
    expect(await complete('thv li')).toEqual(['list'])
    expect(await complete('thv stop al')).toEqual(['alpha', 'alps'])
    expect(await complete('thv stop ')).toEqual(['alpha', 'alps'])
    expect(await complete('thv list --format j')).toEqual(['json'])
    expect(await complete('thv run --from-config a')).toContain('a file.json')
  })
})

describe('the script for zsh', () => {
  it('completes commands and names at the prompt of an interactive shell', async (ctx) => {
    requireProgram(ctx, 'zsh')
    expect(await typedIntoZsh('thv li')).toContain('thv list')
    expect(await typedIntoZsh('thv stop alph')).toContain('thv stop alpha')
    expect(await typedIntoZsh('thv list --format j')).toContain('thv list --format json')
    expect(await typedIntoZsh('thv run --from-config a')).toContain('a\\ file.json')
  })

  it('works as a file of the function path too', async (ctx) => {
    requireProgram(ctx, 'zsh')
    const directory = join(world.directory, 'functions')
    await mkdir(directory)
    await writeFile(join(directory, '_thv'), await world.ok('completion', 'zsh'))
    expect(await inShell('zsh', ['-n', join(directory, '_thv')])).toEqual([])
    const setUp = `fpath=(${directory} $fpath); autoload -Uz compinit; compinit -u -D`
    expect(await typedIntoZsh('thv li', setUp)).toContain('thv list')
  })
})

function requireProgram(ctx: TestContext, program: string): void {
  if (spawnSync(program, ['--version'], { stdio: 'ignore' }).error !== undefined) ctx.skip(`missing: ${program}`)
}

async function inShell(shell: string, args: string[]): Promise<string[]> {
  const child = spawn(shell, args, { env: environment, cwd: world.directory, stdio: ['ignore', 'pipe', 'pipe'] })
  const { code, stdout, stderr } = await collect(child)
  expect([code, stderr]).toEqual([0, ''])
  return stdout.split('\n').filter((line) => line !== '')
}

/** Types a line and a tab into an interactive zsh on a terminal of its own, and resolves to what the line became. */
async function typedIntoZsh(
  line: string,
  setUp = 'autoload -Uz compinit; compinit -u -D; source <(thv completion zsh)',
): Promise<string> {
  const script = `zmodload zsh/zpty
zpty -b inner "TERM=dumb PS1= zsh -f -i"
zpty -w inner ${quote(`unsetopt zle_bracketed_paste 2>/dev/null; ${setUp}`)}
zpty -w inner ${quote('show() { print -r -- "LINE<$BUFFER>"; BUFFER=; zle accept-line }; zle -N show; bindkey "^X" show')}
zpty -w inner ${quote('print REA""DY')}
zpty -r -m inner out '*READY*' || exit 3
zpty -n -w inner ${quote(line)}$'\\t\\x18'
zpty -r -m inner out '*LINE<*>*' || exit 4
print -r -- "$out"
zpty -d inner`
  const out = (await inShell('zsh', ['-f', '-c', script])).join('\n')
  return /LINE<([^>]*)>/.exec(out)?.[1] ?? out
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
