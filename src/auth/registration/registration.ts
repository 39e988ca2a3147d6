import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { audited, AuditSink, DomainError, FieldFault, newId } from '../../kernel';
import { EmailAddress, OneAtATime, parseEmail, parseUsername, UserDoc, Username, Users } from '../../users';
import { requireStrongPassword } from '../password-rules';
import { Passwords } from '../passwords';
import { AccountCreation, refusedIndex } from './account-creation';
import { EmailConfirmation } from './email-confirmation';

export interface RegistrationInput {
  readonly username: string;
  readonly email: string;
  readonly password: string;
}

interface ParsedRegistration {
  readonly username: Username;
  readonly email: EmailAddress;
  readonly password: string;
}

/** `pending`: the address has to be confirmed first. */
export type RegistrationOutcome = 'registered' | 'pending';

/** POST /register. */
@Injectable()
export class Registration {
  readonly #queue = new OneAtATime();

  constructor(
    private readonly users: Users,
    private readonly passwords: Passwords,
    private readonly accounts: AccountCreation,
    private readonly confirmation: EmailConfirmation,
    private readonly audit: AuditSink,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** @throws DomainError `validation_failed`, `weak_password`, `user_exists`, `kms_unavailable`. */
  async register(input: RegistrationInput): Promise<RegistrationOutcome> {
    const parsed = parse(input);
    const { username, email, password } = parsed;
    requireStrongPassword(password, this.config.passwords.rule, { username, email: email.address });
    return audited(this.audit, { action: 'account.register', actor: 'anonymous', gathers: true }, () =>
      // Of many registrations of one name at once, one hashes its password and the others find the name taken.
      this.#queue.run(username, async () => {
        const holder = await this.users.byUsername(username);
        return holder === undefined ? this.#new(parsed) : this.#again(holder, parsed);
      }),
    );
  }

  /** Hashes in any case, and first: what follows for a known address takes as long as for another. */
  async #new({ username, email, password }: ParsedRegistration): Promise<RegistrationOutcome> {
    const id = newId();
    const hashed = await this.passwords.hash(password, id);
    if (this.config.accounts.emailVerification === 'required') {
      await this.confirmation.ask({ id, username, email, ...hashed });
      return 'pending';
    }
    try {
      await this.accounts.create({ id, username, email: email.address, ...hashed });
    } catch (error) {
      throw refusedIndex(error) === undefined ? error : userExists();
    }
    return 'registered';
  }

  /**
   * The name is taken: by somebody, or by the caller's own registration that died half-way. To tell, the same address and the right
   * password must be sent again.
   */
  async #again(holder: UserDoc, { email, password }: ParsedRegistration): Promise<RegistrationOutcome> {
    const own = holder.state === 'pending' && holder.email === email.address;
    if (!own || !(await this.passwords.isRight(holder, password))) throw userExists();
    if (!(await this.accounts.resume(holder))) throw userExists();
    return 'registered';
  }
}

/** @throws DomainError `validation_failed` */
function parse(input: RegistrationInput): ParsedRegistration {
  const username = parseUsername(input.username);
  const email = parseEmail(input.email);
  if (username !== undefined && email !== undefined) return { username, email, password: input.password };
  const fields: FieldFault[] = [
    ...(username === undefined ? [USERNAME_FAULT] : []),
    ...(email === undefined ? [EMAIL_FAULT] : []),
  ];
  throw new DomainError('validation_failed', { fields });
}

const USERNAME_FAULT: FieldFault = {
  pointer: '/username',
  message: 'must be 3 to 64 of a-z, 0-9, ".", "_" and "-", and start with a letter or a digit',
};
const EMAIL_FAULT: FieldFault = { pointer: '/email', message: 'must be an e-mail address' };

const userExists = (): DomainError => new DomainError('user_exists', { detail: 'This user name is taken.' });
