/** R66 for as long as its row says: a minute. Both at the same time, since they only wait. */
import t from 'tap'
import { testPromise } from '../reliability/check.ts'
import { hostPaused, suspended } from '../reliability/pause-checks.ts'

t.setTimeout(240_000)
t.jobs = 2
const minuteMs = 60_000

testPromise('R66 a machine that was suspended for a minute goes on where it was', suspended(minuteMs), [])
testPromise('R66 a host that stood still for a minute judges anew', hostPaused(minuteMs), [])
