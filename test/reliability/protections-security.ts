/** The protections whose absence the tests of secrets, of what a filter can reach, and of the state folder must notice. */

import type { Protection } from './protection.ts'

export const securityProtections: Readonly<Record<string, Protection>> = {
  // R64: secrets stay where they were written.
  'a secret is told as set': {
    file: 'courier-compat/setting/text.ts',
    find: "if (isSecret(schema) && value !== '') return '(set)'\n",
    instead: '',
  },
  'a secret with a mistake in it is not shown': {
    file: 'courier-compat/setting/value.ts',
    find: "return checkText(raw, schema.secret === true ? 'its value' : shown(raw))",
    instead: 'return checkText(raw, shown(raw))',
  },
  'a secret of the wrong kind is not shown': {
    file: 'courier-compat/module-config/typed.ts',
    find: "if (schema.secret !== true || value.kind === 'str') return textFrom(value)",
    instead: 'return textFrom(value)',
  },
  'what may be a secret is not quoted': {
    file: 'courier-compat/secret-name.ts',
    find: 'return names.test(text) || addressWithPassword.test(text)',
    instead: 'return false',
  },
  'values under such names are not quoted': {
    file: 'courier-compat/module-config/parse.ts',
    find: 'mayBeSecret(key) || mayBeSecret(source)',
    instead: 'false',
  },
  'errors of initFilter are masked': {
    file: 'host/chain/loader.ts',
    find: 'const told = mask === null ? thrown : maskThrown(thrown, mask)',
    instead: 'const told = thrown',
  },
  'errors of doFilter are masked': {
    file: 'host/chain/loader.ts',
    find: 'mask === null ? module.doFilter : maskErrors(module.doFilter, mask)',
    instead: 'module.doFilter',
  },
  'no core files': {
    file: 'host/cli/courier/launcher.ts',
    find: 'ulimit -c 0 2>/dev/null\n',
    instead: '',
  },
  // R31: what a filter can reach.
  'a runner has a small environment': {
    file: 'host/runner/environment.ts',
    find: 'return Object.fromEntries([...known, ',
    instead: 'return Object.fromEntries([...Object.entries(process.env), ...known, ',
  },
  "a runner has no descriptor of the host's": {
    file: 'host/platform/spawner.ts',
    find: "stdio: ['ignore', 'pipe', 'pipe', 'pipe', ...others] })",
    instead: "stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'inherit', 'inherit', 2] })",
  },
  "a runner has no descriptor of the store's": {
    file: 'host/platform/spawner.ts',
    find: 'open.includes(index + 4) ? nowhere : ',
    instead: '',
  },
  // R19: where the state may lie.
  'a state folder on a remote file system is refused': {
    file: 'host/state-folder.ts',
    find: 'if (remote !== undefined) {',
    instead: 'if (false) {',
  },
  'a state folder that is a link is refused': {
    file: 'host/state-folder.ts',
    find: "if (stats.isSymbolicLink()) return { text: 'is a link'",
    instead: "if (false) return { text: 'is a link'",
  },
  // R42: what a terminal is shown.
  'the terminal gets nothing to obey from check': {
    file: 'host/cli/check/run.ts',
    find: 'io.out(visible(table(reports) + reports.flatMap(remarks)',
    instead: 'io.out((table(reports) + reports.flatMap(remarks)',
  },
  'the terminal gets nothing to obey from explain': {
    file: 'host/cli/explain.ts',
    find: 'wrap(visible(time ===',
    instead: 'wrap(String(time ===',
  },
  'JSON for the terminal is ASCII': {
    file: 'courier-compat/ascii-json.ts',
    find: '.replace(/[^ -~\\n]/g, escape)',
    instead: '.replace(/(?!)/g, escape)',
  },
}
