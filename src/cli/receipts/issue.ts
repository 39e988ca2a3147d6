import { Receipts } from '../../account-lifecycle';
import { withService } from '../app';

/** The key that receipts of this installation are verified with. */
export const publicKey = (): Promise<string> =>
  withService((app) => Promise.resolve(app.get(Receipts, { strict: false }).publicKey()));

/** The receipt of an erased account once more, with the tier that holds now. */
export const issue = (accountId: string): Promise<string> =>
  withService(async (app) => {
    const receipt = await app.get(Receipts, { strict: false }).issueFor(accountId);
    return `${JSON.stringify(receipt, null, 2)}\n`;
  });
