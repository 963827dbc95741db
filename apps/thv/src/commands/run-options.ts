import type { OptionSpec } from '../command.ts'

/** Every flag of `thv run`. */
export const runOptions: readonly OptionSpec[] = [
  { flags: '--name <name>', summary: 'workload name (default: made from the package or command)' },
  { flags: '--group <name>', summary: 'group the workload belongs to', default: 'default', completes: 'groups' },
  {
    flags: '--transport <transport>',
    summary: 'how the server speaks MCP (default: stdio; auto for a remote server)',
    choices: ['auto', 'stdio', 'sse', 'streamable-http'],
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
  {
    flags: '--secret <NAME,target=VARIABLE>',
    summary: 'secret that the server gets as a variable; only its name is saved',
    repeat: true,
  },
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
  {
    flags: '--remote-forward-headers <Name=Value>',
    summary: 'header added to every request to a remote server; stands in the run config as it is',
    repeat: true,
  },
  {
    flags: '--remote-forward-headers-secret <Name=secret>',
    summary: 'header whose value is a secret; looked up again when it changes',
    repeat: true,
  },
  {
    flags: '--remote-auth-bearer-token <token>',
    summary: 'token for a remote server; kept as a secret, but others can see a command line',
  },
  {
    flags: '--remote-auth-bearer-token-file <file>',
    summary: 'file with the token for a remote server; read again whenever it changes',
    completes: 'files',
  },
  {
    flags: '--thv-ca-bundle <file>',
    summary: 'authorities (PEM) whose certificates a remote server may have, in the place of the usual ones',
    completes: 'files',
  },
  { flags: '-f, --foreground', summary: 'stay, serve until Ctrl-C, then remove the workload' },
  { flags: '--from-config <file>', summary: 'run what thv export wrote', completes: 'files' },
]
