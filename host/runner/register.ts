/** For `node --import`: whatever is run then may import `nodefilter/courier-compat` and the other own modules. */
import { registerOwnModules } from './resolve-hook.ts'

registerOwnModules()
