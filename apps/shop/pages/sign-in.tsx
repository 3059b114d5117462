/** Sign-in, creation of an account, and confirmation of its e-mail address. */
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import { delivery, unwrap } from "../../shared/api";
import { useConfig } from "../../shared/config";
import { LOCALE } from "../../shared/language";
import { shared } from "../../shared/messages";
import { isPushSupported, registerDevice, requestToken } from "../../shared/push";
import { session } from "../../shared/session";
import {
  Button,
  Checkbox,
  ErrorMessage,
  Form,
  Page,
  RequireSession,
  SignInForm,
  useAction,
  type Values,
} from "../../shared/ui";
import { m } from "../messages";
import { profileQuery } from "../queries";
import { CodeField, EmailField, NewPasswordField, PersonFields } from "../ui/account-fields";

/** Links below the sign-in form. */
export function SignInFooter() {
  return (
    <p className="buttons">
      <Link to="/sign-up">
        {m.noAccount} {m.signUp}
      </Link>
      <Link to="/reset-password">{m.forgotPassword}</Link>
    </p>
  );
}

export function SignInPage() {
  const { changed } = useSearch({ from: "/sign-in" });
  const navigate = useNavigate();
  return (
    <Page title={shared.signIn}>
      {changed !== undefined && <p className="message">{changed === "deleted" ? m.deleted : m.passwordChanged}</p>}
      <SignInForm onSignIn={() => void navigate({ to: "/" })} />
      <SignInFooter />
    </Page>
  );
}

export function SignUpPage() {
  const navigate = useNavigate();
  const config = useConfig();
  const [isNotified, setNotified] = useState(true);
  const canNotify = isPushSupported(config);
  return (
    <Page title={m.signUp}>
      <Form
        action={m.signUp}
        onSubmit={(values) => signUp(values, canNotify && isNotified)}
        onSuccess={() => void navigate({ to: "/confirm" })}
      >
        <PersonFields />
        <EmailField />
        <NewPasswordField label={shared.password} />
        {canNotify && (
          <Checkbox isSelected={isNotified} onChange={setNotified}>
            {m.notifyMe}
          </Checkbox>
        )}
      </Form>
      <p>
        {m.haveAccount} <Link to="/sign-in">{shared.signIn}</Link>
      </p>
    </Page>
  );
}

/** Creates the account, and signs it in. The browser asks for the permission to notify first, if wanted. */
async function signUp({ email = "", password = "", ...values }: Values, isNotified: boolean): Promise<void> {
  const token = isNotified ? await requestToken() : undefined;
  const { first_name = "", last_name = "", phone } = values;
  await unwrap(
    delivery.POST("/users", {
      body: {
        email,
        password,
        first_name,
        last_name,
        role: "customer",
        locale: LOCALE,
        time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
        ...(phone && { phone }),
        ...(token && { notif_token: token }),
      },
    }),
  );
  session.set(await unwrap(delivery.POST("/sessions", { body: { email, password } })));
  if (token !== undefined) await registerDevice();
}

export function ConfirmPage() {
  return (
    <RequireSession footer={<SignInFooter />}>
      <Confirm />
    </RequireSession>
  );
}

function Confirm() {
  const navigate = useNavigate();
  const profile = useQuery(profileQuery);
  const user = profile.data?.user;
  const [isConfirmed, setConfirmed] = useState(false);
  const resend = useAction({
    mutationFn: (email: string) => unwrap(delivery.POST("/users/verification", { body: { email } })),
  });
  if (isConfirmed) {
    return (
      <Page title={m.confirmEmail}>
        <p role="status">{m.confirmed}</p>
        <Link className="button primary" to="/">
          {m.toCatalog}
        </Link>
      </Page>
    );
  }
  return (
    <Page title={m.confirmEmail}>
      <p>{m.confirmText}</p>
      <Form
        action={m.confirmCode}
        onSubmit={async ({ code: value = "" }) => {
          await unwrap(delivery.POST("/users/confirm", { body: { code: value } }));
          await profile.refetch();
        }}
        onSuccess={() => setConfirmed(true)}
      >
        <CodeField />
      </Form>
      <div className="buttons">
        {user?.email_verified === false && (
          <Button isPending={resend.isPending} onPress={() => resend.run(user.email)}>
            {m.resend}
          </Button>
        )}
        <Button kind="plain" onPress={() => void navigate({ to: "/" })}>
          {m.later}
        </Button>
      </div>
      {resend.isSuccess && <p role="status">{m.resent}</p>}
      <ErrorMessage error={resend.error} />
    </Page>
  );
}

export function ResetPasswordPage() {
  const navigate = useNavigate();
  const [isSent, setSent] = useState(false);
  return (
    <Page title={m.resetPassword}>
      {isSent ? (
        <Form
          action={m.setPassword}
          onSubmit={({ code = "", password = "" }) =>
            unwrap(delivery.POST("/password-resets/confirm", { body: { code, password } }))
          }
          onSuccess={() => void navigate({ to: "/sign-in", search: { changed: "password" } })}
        >
          <CodeField />
          <NewPasswordField />
        </Form>
      ) : (
        <Form
          action={m.sendCode}
          onSubmit={({ email = "" }) => unwrap(delivery.POST("/password-resets", { body: { email } }))}
          onSuccess={() => setSent(true)}
        >
          <EmailField />
        </Form>
      )}
    </Page>
  );
}
