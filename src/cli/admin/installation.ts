import { Startup } from '../../bootstrap/startup';
import { audited, AuditSink } from '../../kernel';
import { raiseSchema, replacePeppers } from '../../installation';
import { SCHEMA, Store } from '../../store';
import { withService } from '../app';

/** Works where the start refuses the PEPPER of this environment. */
export function replacePepper(): Promise<string> {
  return withService(
    async (app) => {
      const checks = await app.get(Startup).pepperChecks();
      const intent = { action: 'pepper.replace', actor: 'system:admin-cli' } as const;
      await audited(app.get(AuditSink), intent, () => replacePeppers(app.get(Store), checks));
      return 'PEPPER of this environment is that of the installation now. Give all processes the same one.\n';
    },
    { repair: true },
  );
}

/** From then on no older release serves this installation. */
export function finishUpgrade(): Promise<string> {
  return withService(async (app) => {
    const intent = { action: 'upgrade.finish', actor: 'system:admin-cli', details: { schema: SCHEMA } } as const;
    const { lowest_schema } = await audited(app.get(AuditSink), intent, () => raiseSchema(app.get(Store), SCHEMA));
    return `Only releases of schema ${String(lowest_schema)} or later serve this installation now.\n`;
  });
}
