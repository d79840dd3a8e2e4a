/** What each kind of failure means, for an administrator. Pure. */
import { isFailureKind, type FailureKind } from '../../chain/failure.ts'

const meanings: Readonly<Record<FailureKind, string>> = {
  threw: 'a filter threw an error.',
  malformed: 'a filter answered with something that is no reply.',
  late: 'a filter took longer than its time limit.',
  blocked: "a filter's code kept its thread busy and did not give it back; the thread was ended.",
  'thread-lost': 'the thread it ran in ended under it, on the second attempt as well.',
  'runner-lost': 'the process that runs the filters ended under it, on the second attempt as well.',
  poison:
    'it has ended threads or runners before, and is not run any more for a while; see "poison-message" in the log.',
  deadline: 'it had no verdict within [host] deadline, waiting included.',
  overloaded: 'more messages waited than [host] max_waiting allows.',
  broken: 'the configuration, a filter or the state folder is broken; "nodefilter courier doctor" says what.',
  stopping: 'the host was being stopped or started anew.',
  store: 'what its filters had added to queues could not be put there; "store-failed" in the log may say why.',
  changed: 'its files were changed by somebody else while the filters ran.',
  pair: 'its files were not what a mail server hands over, or could not be read.',
  internal: 'the host itself failed, which is a fault of nodefilter.',
}

/** A sentence, without its beginning. */
export function failureMeaning(code: string): string {
  return isFailureKind(code) ? meanings[code] : 'of a kind that this version does not know.'
}
