import type { CommandSpec, OptionSpec } from '../command.ts'

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
const workloads = { name: '[names...]', summary: 'workload names', completes: 'workloads' } as const
const workload = { name: '<name>', summary: 'workload name', completes: 'workloads' } as const

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

const runOptions: readonly OptionSpec[] = [
  { flags: '--name <name>', summary: 'workload name (default: made from the package or command)' },
  { flags: '--group <name>', summary: 'group the workload belongs to', default: 'default', completes: 'groups' },
  {
    flags: '--transport <transport>',
    summary: 'how the server speaks MCP (default: stdio)',
    choices: ['stdio', 'sse', 'streamable-http'],
  },
  {
    flags: '--proxy-mode <mode>',
    summary: 'what clients of a stdio server speak (default: streamable-http)',
    choices: ['streamable-http', 'sse'],
  },
  {
    flags: '--shared-server',
    summary: 'one server process for all clients; server questions to clients are refused',
  },
  {
    flags: '--era <era>',
    summary: 'protocol family spoken to the server (default: what it turns out to speak)',
    choices: ['auto', 'legacy', 'modern'],
  },
  { flags: '--host <address>', summary: 'address the proxy listens on (default: 127.0.0.1)' },
  { flags: '--allowed-origins <origin>', summary: 'browser origin that may connect', repeat: true },
  { flags: '--tools <names>', summary: 'tools that clients see, by the names they see (a,b)', repeat: true },
  { flags: '--tools-override <file>', summary: 'JSON file with other names and descriptions', completes: 'files' },
  { flags: '--otel-enable-prometheus-metrics-path', summary: 'count, and show the metrics at /metrics' },
  { flags: '--trust-proxy-headers', summary: 'believe the X-Forwarded headers of a proxy in front' },
  { flags: '--endpoint-prefix <path>', summary: 'path in front of the endpoints told to SSE clients (/team/notes)' },
  { flags: '--stateless', summary: 'no client gets a session; GET and DELETE are answered 405' },
  { flags: '--session-ttl <duration>', summary: 'end a session that was unused for so long (default: 2h)' },
  { flags: '--strict-protocol-validation', summary: 'refuse requests that name an unknown protocol version' },
  { flags: '--proxy-port <port>', summary: 'port of the proxy (default: any free one)' },
  { flags: '--target-port <port>', summary: 'port handed to a server that speaks HTTP (default: any free one)' },
  { flags: '--target-host <address>', summary: 'address such a server listens on (default: 127.0.0.1)' },
  { flags: '-e, --env <KEY=VALUE>', summary: 'environment variable for the server', repeat: true },
  { flags: '--env-file <file>', summary: 'file of KEY=VALUE lines', completes: 'files' },
  { flags: '--env-file-dir <directory>', summary: 'directory of such files', completes: 'files' },
  { flags: '-l, --label <key=value>', summary: 'label of the workload', repeat: true },
  {
    flags: '--permission-profile <name>',
    summary: "what the server may do: 'none', 'network' or a JSON file (default: network)",
    completes: 'files',
  },
  {
    flags: '-v, --volume <host:container[:ro]>',
    summary: 'file or directory the server may use',
    repeat: true,
    completes: 'files',
  },
  {
    flags: '--isolate-network [on]',
    summary: "only the profile's hosts can be reached (default: true where there is a sandbox)",
    choices: ['true', 'false'],
  },
  { flags: '--network <mode>', summary: "'none', 'host', or a container network, in the place of the profile's" },
  {
    flags: '--isolation <wish>',
    summary: 'auto: the best there is; required: a sandbox or no start; none (default: auto)',
    choices: ['auto', 'required', 'none'],
  },
  {
    flags: '--ignore-globally [on]',
    summary: "obey the user's own ignore patterns (default: true)",
    choices: ['true', 'false'],
  },
  { flags: '--print-resolved-overlays', summary: 'say which entries of volumes the ignore patterns hide' },
  {
    flags: '--allow-docker-gateway',
    summary: 'with a filtered network: this machine is host.docker.internal',
  },
  {
    flags: '--learn',
    summary: 'with --foreground: let every connection through, print the smallest profile at the end',
  },
  {
    flags: '--runtime <runtime>',
    summary: 'container, process, or auto: a package in a container when an engine answers (default: auto)',
    choices: ['auto', 'container', 'process'],
  },
  { flags: '--runtime-image <image>', summary: 'base image in which the image of a package is built' },
  { flags: '--runtime-add-package <name>', summary: 'system package in such an image', repeat: true },
  { flags: '--build-with <constraint>', summary: 'further Python package in such an image', repeat: true },
  { flags: '--ca-cert <file>', summary: 'certificate that such an image trusts', completes: 'files' },
  {
    flags: '--image-verification <mode>',
    summary: 'enabled refuses every image: signatures cannot be checked yet (default: warn)',
    choices: ['disabled', 'warn', 'enabled'],
  },
  { flags: '-f, --foreground', summary: 'stay, serve until Ctrl-C, then remove the workload' },
  { flags: '--from-config <file>', summary: 'run what thv export wrote', completes: 'files' },
]

/** Every command of thv. Data only: nothing here loads what a command needs. */
export const commands: readonly CommandSpec[] = [
  {
    name: 'run',
    summary: 'run an MCP server behind a proxy',
    arguments: [
      {
        name: '[source]',
        summary: 'npx://package, uvx://package, go://module or an image; left out for a local command',
      },
    ],
    passThrough: true,
    options: runOptions,
    examples: [
      'thv run npx://@modelcontextprotocol/server-everything',
      'thv run uvx://mcp-server-time -- --local-timezone UTC',
      'thv run --name notes -- node server.js',
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
    options: [{ flags: '-a, --all', summary: 'every running workload' }, group, timeout],
    load: async () => (await import('./stop.ts')).stopCommand,
  },
  {
    name: 'rm',
    summary: 'stop and remove workloads; logs and cached packages stay',
    arguments: [workloads],
    options: [{ flags: '--all', summary: 'every workload' }, group],
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
    ],
    load: async () => (await import('./list.ts')).listCommand,
  },
  {
    name: 'status',
    summary: 'show one workload',
    arguments: [workload],
    options: [format],
    load: async () => (await import('./status.ts')).statusCommand,
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
    options: [{ flags: '--format <format>', summary: 'output format', choices: ['json'], default: 'json' }],
    load: async () => (await import('./export.ts')).exportCommand,
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
