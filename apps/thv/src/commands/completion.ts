import { ThvError } from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'

/** Scripts ask `thv __complete -- WORDS…` for candidates, so they never go stale. */
const scripts: Record<string, string> = {
  bash: `_thv_complete() {
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  local candidate
  COMPREPLY=()
  while IFS=$'\\t' read -r candidate _; do
    if [[ $candidate == :files ]]; then
      compopt -o default
      continue
    fi
    COMPREPLY+=("$candidate")
  done < <(thv __complete -- "\${words[@]}" 2>/dev/null)
}
complete -F _thv_complete thv
`,
  zsh: `#compdef thv
_thv() {
  local -a candidates
  local candidate summary
  while IFS=$'\\t' read -r candidate summary; do
    if [[ $candidate == :files ]]; then
      _files
      continue
    fi
    candidates+=("\${candidate//:/\\\\:}:$summary")
  done < <(thv __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#candidates} )) && _describe 'thv' candidates
}
if [ "$funcstack[1]" = "_thv" ]; then
  _thv "$@"
else
  compdef _thv thv
fi
`,
  fish: `function __thv_complete
  set -l words (commandline -opc) (commandline -ct)
  thv __complete -- $words[2..-1] 2>/dev/null | string match -v ':files*'
end
function __thv_wants_files
  set -l words (commandline -opc) (commandline -ct)
  thv __complete -- $words[2..-1] 2>/dev/null | string match -q ':files*'
end
complete -c thv -f -a '(__thv_complete)'
complete -c thv -n __thv_wants_files -F
`,
}

/** `thv completion SHELL`. */
export async function completionCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const shell = input.args[0] ?? ''
  const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined
  if (script === undefined) {
    throw new ThvError('invalid-argument', `there is no completion for '${shell}'`, {
      hint: 'write bash, zsh or fish',
    })
  }
  context.output.raw(script)
}
