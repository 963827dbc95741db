/**
 * Every client that can be given workloads, by the names of group files and of the API: spec/local 8.
 * Where their configuration lies comes with the commands that edit it.
 */
export const clientKinds = [
  'roo-code',
  'cline',
  'cursor',
  'vscode-insider',
  'vscode',
  'claude-code',
  'windsurf',
  'windsurf-jetbrains',
  'amp-cli',
  'lm-studio',
  'goose',
  'trae',
  'continue',
  'opencode',
  'kiro',
  'antigravity',
  'zed',
  'gemini-cli',
  'vscode-server',
  'mistral-vibe',
  'codex',
  'kimi-cli',
  'factory',
  'copilot-cli',
  'qoder',
] as const

/** One of the known clients. */
export type ClientKind = (typeof clientKinds)[number]

/** Whether a name is that of a known client. */
export function isClientKind(name: string): name is ClientKind {
  return clientKinds.some((kind) => kind === name)
}
