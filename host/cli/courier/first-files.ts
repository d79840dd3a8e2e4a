/** The configuration that `nodefilter courier enable` writes where there is none: all comments, every default as it is. */

/** A file of the new folder: its name and its text. */
export interface FirstFile {
  readonly name: string
  readonly text: string
}

/** Pure text. Source: contracts.md, "Files of configuration". */
export const firstFiles: readonly FirstFile[] = [
  {
    name: 'filters.conf',
    text: `# The filters that every message runs through, one a line, in this order.
#
#   NAME [as ALIAS] [for OTHER ...] [with key=value ...]
#
# NAME        a bundled filter, or a file NAME.ts, NAME.js or NAME.mjs in a folder that "filter_path" in
#             nodefilter.conf names.
# as ALIAS    runs the same filter a second time under another name, with settings of its own.
# for OTHER   where this filter accepts a message, only the filters named here are skipped, not the rest of the list.
# with        settings of the filter, and for any filter: on_error=defer|pass, time_limit=30s, dry_run=yes|no.
#
# As long as no filter is listed, every message passes.
# After a change run "nodefilter reload". A broken file changes nothing; you are told where it is broken.
`,
  },
  {
    name: 'nodefilter.conf',
    text: `# Settings of the mail filter host. What is commented out is a default or an example.
# After a change run "nodefilter reload". A broken file changes nothing; you are told where it is broken.

[host]
# Where the host keeps its state. It belongs to Courier's user.
#state_dir = /var/lib/nodefilter
# A message is answered after this time whatever its filters do.
#deadline = 60s

[runner]
# Worker threads that run filters: as many as the machine has cores, at least 2, unless set.
#threads = 4

[chain]
# Folders with filters of your own. Nobody but root may be able to write there.
#filter_path = /etc/nodefilter/filters

[courierfilter]
# What a message hears when its filters fail: defer (4xx, the sender tries again) or pass. Courier turns a refusal of
# local mail into a bounce, so there and for its own notices the default is pass.
#on_failure = defer
#on_failure_local = pass
#on_failure_dsn = pass
`,
  },
]
