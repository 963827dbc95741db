import { resolve } from 'node:path'
import { builtInProfile, isolationWishes, parseVolume, ThvError, type RunRequest } from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { flagOption, listOption, switchOption, textOption } from '../options.ts'

/** Adds to a request what its server may do, and tells of what it will not see. Throws `invalid-flag-combination` for `--learn` with what it excludes. */
export async function addPermissions(context: CommandContext, request: RunRequest, input: CommandInput): Promise<void> {
  const nameOrPath = textOption(input, 'permissionProfile')
  if (nameOrPath !== undefined) {
    const { loadPermissionProfile } = await context.container.adapters()
    const profile = await loadPermissionProfile(nameOrPath)
    // A path means the same from any directory later.
    const isName = builtInProfile(nameOrPath) !== undefined
    request.permissionProfile = { nameOrPath: isName ? nameOrPath : resolve(nameOrPath), profile }
  }
  const volumes = listOption(input, 'volume').map(absoluteVolume)
  if (volumes.length > 0) request.volumes = volumes
  const network = textOption(input, 'network')
  if (network !== undefined) request.network = network
  const isolation = isolationWishes.find((wish) => wish === textOption(input, 'isolation'))
  if (isolation !== undefined) request.isolation = isolation
  const isolateNetwork = switchOption(input, 'isolateNetwork')
  if (isolateNetwork !== undefined) request.isolateNetwork = isolateNetwork
  if (switchOption(input, 'ignoreGlobally') === false) request.ignoreGlobally = false
  if (flagOption(input, 'printResolvedOverlays')) request.printOverlays = true
  if (flagOption(input, 'allowDockerGateway')) request.allowDockerGateway = true
  if (flagOption(input, 'learn')) learn(request, flagOption(input, 'foreground'))
  await noteUnseenPaths(context, request)
}

/** Everything must go through the egress proxy, and nothing be refused by a profile. */
function learn(request: RunRequest, isForeground: boolean): void {
  const { permissionProfile, network, isolateNetwork, isolation } = request
  if (!isForeground) {
    throw new ThvError('invalid-flag-combination', '--learn prints at the end of a run that is waited for', {
      hint: 'add --foreground',
    })
  }
  if (permissionProfile !== undefined || network !== undefined || isolateNetwork === false || isolation === 'none') {
    throw new ThvError('invalid-flag-combination', '--learn is for a run with isolation and no other profile', {
      hint: 'leave --permission-profile, --network, --isolate-network and --isolation out',
    })
  }
  request.isolation = 'required'
  request.isolateNetwork = true
}

/** The commonest reason why a server that ran before does not run in a sandbox. */
async function noteUnseenPaths({ container, output }: CommandContext, request: RunRequest): Promise<void> {
  if (request.isolation === 'none' || request.source === undefined) return
  const given = (request.volumes ?? []).map((volume) => parseVolume(volume).target)
  for (const path of request.args.filter((argument) => argument.startsWith('/'))) {
    const isGiven = given.some((target) => path === target || path.startsWith(`${target}/`))
    if (isGiven || !(await container.files.exists(path))) continue
    output.note(`note: the server does not see ${path} of this machine; to give it, add --volume ${path}:${path}`)
  }
}

function absoluteVolume(text: string): string {
  const { source, target, readOnly } = parseVolume(text)
  return `${resolve(source)}:${target}${readOnly ? ':ro' : ''}`
}
