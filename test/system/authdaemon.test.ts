/** The real authentication daemon: accounts of this machine and of its data base, and who has none. */
import t from 'tap'
import { getUserInfo, openAuthdaemon } from '../../courier-compat/authdaemon.ts'
import { until } from '../helpers/until.ts'
import { courier, courierObstacle, startCourier } from './courier-server.ts'
import { mustRun } from './program.ts'
import { openBareStage } from './stage.ts'

const obstacle = courierObstacle()
if (obstacle === null) await suite()
else t.plan(0, obstacle)

async function suite(): Promise<void> {
  t.setTimeout(240_000)
  const stage = await openBareStage()
  await startCourier()
  t.teardown(() => stage.close())
  // As on a machine without settings: Courier's own default is not there, and Debian's is asked.
  process.env['NODEFILTER_MODULES'] = ''
  const id = async (option: string): Promise<number> => Number(await mustRun('id', [option, courier.user]))
  const [uid, gid] = [await id('-u'), await id('-g')]

  await t.test('accounts are found, and others are not', async (t) => {
    t.match(await getUserInfo('smtp', courier.user), { username: courier.user, home: `/home/${courier.user}`, gid })
    const { user } = courier.account
    const account = await getUserInfo('smtp', user)
    t.match(account, { ...{ address: user, username: null, uid, gid }, maildir: courier.maildir })
    t.notOk(account?.all.has('PASSWD'), 'its hash stays with the daemon')
    const [name, domain] = user.split('@')
    for (const nobody of [
      'nosuchuser',
      `nosuchuser@${courier.domain}`,
      `${courier.user}@${courier.domain}`,
      `${name}`,
    ]) {
      t.equal(await getUserInfo('smtp', nobody), null, nobody)
    }
    t.equal(await getUserInfo('smtp', `${name}@${domain?.toUpperCase()}`), null, 'case matters')
    const odd = ['a b', '..', `x'; --`, 'gr\u00fcn', '%s%n', 'a'.repeat(1000), '(malformed utf8):a%FF']
    for (const nobody of odd) t.equal(await getUserInfo('smtp', nobody), null, nobody)
  })

  await t.test('many questions at once', async (t) => {
    const names = Array.from({ length: 60 }, (_, index) => (index % 2 === 0 ? courier.user : `nosuchuser${index}`))
    const accounts = await Promise.all(names.map((name) => getUserInfo('smtp', name)))
    t.strictSame(
      accounts.map((account) => account !== null),
      names.map((name) => name === courier.user),
    )
  })

  await t.test('a daemon that is gone, and comes back', async (t) => {
    const daemon = openAuthdaemon()
    await mustRun('authdaemond', ['stop'])
    await t.rejects(daemon.getUserInfo('smtp', courier.user), {
      name: 'AuthdaemonError',
      phase: 'connect',
      isTemporary: true,
    })
    await mustRun('authdaemond', ['start'])
    const account = await until('the daemon', () => daemon.getUserInfo('smtp', courier.user).catch(() => null))
    t.match(account, { username: courier.user })
  })
}
