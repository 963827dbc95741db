import type { PackageKind } from '../domain/package-source.ts'
import type { ProgressListener } from './package-installer.ts'

/** What the image of a package is built from: spec/local 3.3. */
export interface ImageBuild {
  kind: PackageKind
  name: string
  /** Undefined for the newest. */
  version?: string
  /** Absolute path of a Go program's source, in the place of name and version. */
  localPath?: string
  /** In the place of the usual base image. */
  builderImage?: string
  /** Packages of the base image's system, beside the usual ones. */
  additionalPackages?: readonly string[]
  /** Further Python packages in the server's environment; uvx only. */
  buildWith?: readonly string[]
  /** Variables while it is built; the finished image does not have them. */
  buildEnvironment?: Readonly<Record<string, string>>
  /** Variables of the finished image. */
  runtimeEnvironment?: Readonly<Record<string, string>>
  /** A certificate in PEM that both the build and the server trust. */
  caCertificate?: string
  /** Arguments that always stand in front of those of a run. */
  args?: readonly string[]
}

/** The images of this machine's container engine. */
export interface ImageStore {
  /** Whether a container engine answers; false after a few seconds at most. */
  isReachable(signal: AbortSignal): Promise<boolean>
  /**
   * Makes sure that an image is there, by the rules of spec/local 3.2: a moving tag is
   * always asked for, and what is there serves when the registry cannot be reached; any other
   * is pulled only when it is absent. `image-not-found`, `image-denied`, `engine-unreachable`.
   */
  pull(reference: string, progress: ProgressListener, signal: AbortSignal): Promise<void>
  /**
   * Builds the image of a package, or takes one that was built from the same. Resolves to its
   * name. `image-build-failed`, `engine-unreachable`.
   */
  build(wanted: ImageBuild, progress: ProgressListener, signal: AbortSignal): Promise<string>
}
