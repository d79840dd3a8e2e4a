/** What `nodefilter courier doctor` knows of an installation before it judges. Types alone: plain data, made by `read.ts`. */
import type { HostSettings } from '../../../config/settings.ts'
import type { Problem } from '../../../problem.ts'
import type { Obstructed } from '../facts.ts'
import type { CourierLayout } from '../layout.ts'
import type { Ownership } from '../plan.ts'
import type { Identity } from '../reach.ts'

/** What stands at a path. `unseen`: the caller may not look. Owner and mode are -1 where there is nothing to have them. */
export interface PathFact {
  readonly path: string
  readonly kind: 'absent' | 'unseen' | 'file' | 'folder' | 'link' | 'socket' | 'other'
  readonly uid: number
  readonly gid: number
  /** Permission bits. */
  readonly mode: number
}

/** Courier's link to the launcher. */
export interface LinkFact extends PathFact {
  /** Where it leads, made absolute; `null` for what is no link. */
  readonly target: string | null
}

/** The launcher, and what it starts. */
export interface LauncherFact extends PathFact {
  readonly whose: Ownership
  /** Of its script; `null` where it is not ours. */
  readonly version: number | null
  /** It is what this version of the program would write with the same paths. */
  readonly isCurrent: boolean
  /** What it starts; `null` where that cannot be read from it. */
  readonly starts: {
    readonly node: PathFact
    readonly program: PathFact
    /** What Node, and the program run by it, call themselves as Courier's user; `null`: they could not be run. */
    readonly nodeVersion: string | null
    readonly programVersion: string | null
  } | null
}

/** A host process that a launcher has started. */
export interface HostProcessFact {
  readonly pid: number
  /** Its Node was deleted or replaced since it was started. */
  readonly nodeGone: boolean
  /** `null` where the system does not tell. */
  readonly umask: number | null
  readonly maxFiles: number | null
}

/** A folder that holds code, settings, state or sockets, and who may write there. */
export interface PlaceFact extends PathFact {
  readonly what: string
  /** Who may own it: root alone, or Courier's user as well. */
  readonly owners: 'root' | 'root-or-user'
}

/** Room on a disk. */
export interface RoomFact {
  readonly what: string
  readonly path: string
  readonly freeOctets: number
  /** `null` on file systems that have no limit. */
  readonly freeInodes: number | null
}

/** The answer to the question how a host is. `nobody`: no host listens; `denied`: the caller may not ask. */
export type HostAnswer =
  | { readonly kind: 'nobody' | 'denied' }
  | { readonly kind: 'silent'; readonly text: string }
  | {
      readonly kind: 'answer'
      readonly version: string
      readonly phase: string
      /** Why it is broken. */
      readonly problems: readonly Problem[]
      /** What was wrong when it was last told to reload, if that was refused. */
      readonly refusedReload: readonly Problem[]
      /** Settings that only a restart takes over. */
      readonly needRestart: readonly string[]
    }

/** Everything that is looked at. */
export interface DoctorFacts {
  readonly name: string
  readonly layout: CourierLayout
  readonly isRoot: boolean
  /** Courier's user; `null` where there is no such one. */
  readonly user: Identity | null
  /** The folders that `nodefilter courier enable` must be told, so that it makes the same launcher again. */
  readonly given: { readonly configDirectory: string | null; readonly stateDirectory: string | null }
  readonly filterFolder: PathFact
  readonly launcher: LauncherFact
  readonly link: LinkFact
  /** In `allfilters`. */
  readonly socket: PathFact
  /** A process accepts connections there; `null` where that cannot be told. */
  readonly socketListens: boolean | null
  /** What has the same name in `filters`. */
  readonly twin: PathFact
  readonly daemon: {
    /** The number in the pid file; `null` where there is none. */
    readonly pidInFile: number | null
    /** The courierfilter daemons that run. */
    readonly pids: readonly number[]
  }
  /** Courier's child of this name: the launcher. `dead`: it ended, and Courier keeps its entry. */
  readonly process: 'running' | 'dead' | 'none'
  readonly hosts: readonly HostProcessFact[]
  /** The other links in `filters/active`; a target that is not there is `null`. */
  readonly otherFilters: readonly { readonly name: string; readonly target: string | null }[]
  /** The lines of `enablefiltering`. */
  readonly enableFiltering: readonly string[] | 'absent' | 'unseen'
  readonly config: {
    readonly directory: string
    readonly exists: boolean
    readonly settings: HostSettings
    readonly problems: readonly Problem[]
    readonly warnings: readonly Problem[]
  }
  readonly obstacles: readonly Obstructed[]
  readonly places: readonly PlaceFact[]
  readonly state: PathFact
  /** The process that holds the state folder; `null`: none that can be seen. */
  readonly stateHolder: number | null
  readonly room: readonly RoomFact[]
  /** Of the program that asks. */
  readonly version: string
  /** The versions of Node that it runs on; `null`: any. */
  readonly nodeRange: string | null
  /** What the host that runs says of itself over its control socket. */
  readonly asked: HostAnswer
}
