import type { CommandSpec, OptionSpec } from '../command.ts'
import { runOptions } from './run-options.ts'

const format: OptionSpec = {
  flags: '--format <format>',
  summary: 'output format',
  choices: ['text', 'json'],
  default: 'text',
}
const group: OptionSpec = { flags: '-g, --group <name>', summary: 'all workloads of a group', completes: 'groups' }
const timeout: OptionSpec = {
  flags: '--timeout <seconds>',
  summary: 'time for a polite end before the firm one',
  default: '30',
}
const autoStart: OptionSpec = {
  flags: '--auto-start',
  summary: 'start the API server in the background, unless it runs',
}
const workloads = { name: '[names...]', summary: 'workload names', completes: 'workloads' } as const
const workload = { name: '<name>', summary: 'workload name', completes: 'workloads' } as const

const secret = { name: '<name>', summary: 'name of the secret', completes: 'secrets' } as const

const mcpOptions: readonly OptionSpec[] = [
  { flags: '--server <server>', summary: 'workload name or URL of an MCP endpoint', completes: 'workloads' },
  format,
  { flags: '--timeout <duration>', summary: 'time for the whole exchange (30s, 2m)', default: '30s' },
  {
    flags: '--transport <transport>',
    summary: 'how to speak to the endpoint',
    choices: ['auto', 'streamable-http', 'sse'],
    default: 'auto',
  },
]

const serveOptions: readonly OptionSpec[] = [
  { flags: '--host <address>', summary: 'address to listen on (default: 127.0.0.1)' },
  { flags: '--port <port>', summary: 'port to listen on; 0 for any free one (default: 8080)' },
  { flags: '--socket <path>', summary: 'unix socket to listen on, in the place of the port if that is not given' },
  { flags: '--openapi', summary: 'also serve the OpenAPI document and its page at /api/doc' },
]

/** Every command of thv. Data only: nothing here loads what a command needs. */
export const commands: readonly CommandSpec[] = [
  {
    name: 'run',
    summary: 'run an MCP server behind a proxy',
    arguments: [
      {
        name: '[source]',
        summary:
          'https://host/path, npx://package, uvx://package, go://module or an image; left out for a local command',
      },
    ],
    passThrough: true,
    options: runOptions,
    examples: [
      'thv run npx://@modelcontextprotocol/server-everything',
      'thv run uvx://mcp-server-time -- --local-timezone UTC',
      'thv run --name notes -- node server.js',
      'thv run https://mcp.example.com/mcp',
      'thv run ghcr.io/owner/server:1.2 --transport streamable-http --target-port 8080',
    ],
    load: async () => (await import('./run.ts')).runCommand,
  },
  {
    name: 'start',
    summary: 'start stopped workloads',
    arguments: [workloads],
    options: [
      { flags: '-f, --foreground', summary: 'stay and supervise in this process' },
      { flags: '-a, --all', summary: 'every workload' },
      group,
    ],
    load: async () => (await import('./start.ts')).startCommand,
  },
  {
    name: 'restart',
    summary: 'stop and start workloads; their URLs stay',
    arguments: [workloads],
    options: [{ flags: '-a, --all', summary: 'every workload' }, group, timeout],
    load: async () => (await import('./start.ts')).restartCommand,
  },
  {
    name: 'stop',
    summary: 'stop workloads',
    arguments: [workloads],
    options: [{ flags: '-a, --all', summary: 'every running workload' }, group, timeout, autoStart],
    load: async () => (await import('./stop.ts')).stopCommand,
  },
  {
    name: 'rm',
    summary: 'stop and remove workloads; logs and cached packages stay',
    arguments: [workloads],
    options: [{ flags: '--all', summary: 'every workload' }, group, autoStart],
    load: async () => (await import('./rm.ts')).rmCommand,
  },
  {
    name: 'list',
    aliases: ['ls'],
    summary: 'list workloads',
    options: [
      { flags: '-a, --all', summary: 'also those that were stopped' },
      { ...format, choices: ['text', 'json', 'mcpservers'] },
      { flags: '--group <name>', summary: 'only this group', completes: 'groups' },
      { flags: '-l, --label <key=value>', summary: 'only with this label', repeat: true },
      autoStart,
    ],
    load: async () => (await import('./list.ts')).listCommand,
  },
  {
    name: 'status',
    summary: 'show one workload',
    arguments: [workload],
    options: [format, autoStart],
    load: async () => (await import('./status.ts')).statusCommand,
  },
  {
    name: 'explain',
    summary: 'show why a workload is as it is, and what to do',
    arguments: [workload],
    options: [format, autoStart],
    load: async () => (await import('./explain.ts')).explainCommand,
  },
  {
    name: 'login',
    summary: 'log in to the remote server of a workload, which goes on by itself then',
    arguments: [workload],
    options: [
      { flags: '--skip-browser', summary: 'show the URL, and open no browser' },
      { flags: '--timeout <duration>', summary: 'time for a person (default: 5m)' },
      { flags: '--callback-port <port>', summary: 'where the browser comes back to (default: 8666)' },
      {
        flags: '--scopes <scopes>',
        summary: 'ask for these scopes alone (a,b; default: those there were, and what calls have needed)',
        repeat: true,
      },
      format,
    ],
    load: async () => (await import('./login.ts')).loginCommand,
  },
  {
    name: 'logout',
    summary: 'forget the login of a workload, here and at the authorization server',
    arguments: [workload],
    options: [format],
    load: async () => (await import('./logout.ts')).logoutCommand,
  },
  {
    name: 'logs',
    summary: "show a workload's output; 'thv logs prune' removes logs of workloads that are gone",
    arguments: [workload],
    options: [
      { flags: '-f, --follow', summary: 'keep showing what is added' },
      { flags: '-p, --proxy', summary: 'the log of the proxy instead of the server' },
    ],
    load: async () => (await import('./logs.ts')).logsCommand,
  },
  {
    name: 'export',
    summary: 'write the run config of a workload to a file',
    arguments: [workload, { name: '<path>', summary: 'file to write', completes: 'files' }],
    options: [{ flags: '--format <format>', summary: 'output format', choices: ['json'], default: 'json' }, autoStart],
    load: async () => (await import('./export.ts')).exportCommand,
  },
  {
    name: 'serve',
    summary: 'serve the REST API until Ctrl-C',
    options: serveOptions,
    load: async () => (await import('./serve.ts')).serveCommand,
  },
  {
    name: 'server',
    summary: 'the REST API in the background',
    subcommands: [
      {
        name: 'start',
        summary: 'start it, unless it runs',
        options: serveOptions,
        load: async () => (await import('./server.ts')).serverStartCommand,
      },
      {
        name: 'stop',
        summary: 'stop it; workloads go on',
        load: async () => (await import('./server.ts')).serverStopCommand,
      },
      {
        name: 'status',
        summary: 'tell where it is and whether it answers; exits with 1 unless it runs',
        options: [format],
        load: async () => (await import('./server.ts')).serverStatusCommand,
      },
    ],
  },
  {
    name: 'mcp',
    summary: 'talk to an MCP server',
    subcommands: [
      {
        name: 'list',
        summary: 'list what a server offers',
        arguments: [
          {
            name: '[kind]',
            summary: 'tools, resources or prompts (default: all three)',
            choices: ['tools', 'resources', 'prompts'],
          },
        ],
        options: mcpOptions,
        load: async () => (await import('./mcp-list.ts')).mcpListCommand,
      },
      {
        name: 'call',
        summary: 'call one tool',
        arguments: [{ name: '<tool>', summary: 'tool name' }],
        options: [
          ...mcpOptions,
          { flags: '--args <json>', summary: 'arguments as a JSON object' },
          { flags: '--args-file <file>', summary: 'file with the arguments', completes: 'files' },
          { flags: '--ignore-tool-error', summary: 'exit 0 although the tool reports an error' },
        ],
        load: async () => (await import('./mcp-call.ts')).mcpCallCommand,
      },
    ],
  },
  {
    name: 'secret',
    summary: 'values that servers get and that stand in no file as they are',
    subcommands: [
      {
        name: 'setup',
        summary: 'choose where secrets come from, and its password',
        load: async () => (await import('./secret-setup.ts')).secretSetupCommand,
      },
      {
        name: 'provider',
        summary: 'choose where secrets come from',
        arguments: [
          {
            name: '<provider>',
            summary: 'encrypted or environment',
            choices: ['encrypted', 'environment', '1password'],
          },
        ],
        load: async () => (await import('./secret-setup.ts')).secretProviderCommand,
      },
      {
        name: 'set',
        summary: 'save a secret; its value is typed unseen, or comes from a pipe',
        arguments: [secret],
        examples: ['thv secret set github', 'pass github | thv secret set github'],
        load: async () => (await import('./secret.ts')).secretSetCommand,
      },
      {
        name: 'get',
        summary: 'show the value of a secret',
        arguments: [secret],
        load: async () => (await import('./secret.ts')).secretGetCommand,
      },
      {
        name: 'list',
        summary: 'list the names of secrets',
        options: [{ flags: '--system', summary: 'those that thv keeps for itself' }],
        load: async () => (await import('./secret.ts')).secretListCommand,
      },
      {
        name: 'delete',
        summary: 'delete a secret',
        arguments: [secret],
        options: [{ flags: '--system', summary: 'one that thv keeps for itself, by its whole name' }],
        load: async () => (await import('./secret.ts')).secretDeleteCommand,
      },
      {
        name: 'reset-keyring',
        summary: 'take the password of the secrets out of every keyring',
        load: async () => (await import('./secret-setup.ts')).secretResetKeyringCommand,
      },
    ],
  },
  {
    name: 'cache',
    summary: 'the cache of installed packages',
    subcommands: [
      {
        name: 'list',
        summary: 'list cached packages',
        options: [format],
        load: async () => (await import('./cache.ts')).cacheListCommand,
      },
      {
        name: 'prune',
        summary: 'remove cached packages that no workload uses',
        options: [{ flags: '-a, --all', summary: 'also those in use; they are installed again at the next start' }],
        load: async () => (await import('./cache.ts')).cachePruneCommand,
      },
    ],
  },
  {
    name: 'doctor',
    summary: 'check what works here and what is missing',
    options: [format],
    load: async () => (await import('./doctor.ts')).doctorCommand,
  },
  {
    name: 'version',
    summary: 'show the version',
    options: [format, { flags: '--json', summary: 'same as --format json' }],
    load: async () => (await import('./version.ts')).versionCommand,
  },
  {
    name: 'completion',
    summary: 'print a shell completion script',
    arguments: [{ name: '<shell>', summary: 'bash, zsh or fish', choices: ['bash', 'zsh', 'fish'] }],
    examples: ['source <(thv completion bash)', 'thv completion fish > ~/.config/fish/completions/thv.fish'],
    load: async () => (await import('./completion.ts')).completionCommand,
  },
  {
    name: '__complete',
    summary: 'candidates for the last word',
    hidden: true,
    passThrough: true,
    load: async () => (await import('./complete.ts')).completeCommand,
  },
]
