/** Sign-in and sign-out. */
import { useNavigate } from "@tanstack/react-router";
import { Fragment, type ReactNode } from "react";

import { delivery, unwrap } from "../api";
import { device, forgetDevice, registerDevice } from "../push";
import { shared } from "../messages";
import { session, useSession } from "../session";
import { useAction } from "./action";
import { Button } from "./button";
import { TextField } from "./fields";
import { Form } from "./form";
import { Page } from "./page";

/** The form of e-mail address and password. `onSignIn` is called after the session is stored. */
export function SignInForm({ onSignIn }: { onSignIn?: () => void }) {
  return (
    <Form
      action={shared.signIn}
      onSubmit={async ({ email = "", password = "" }) => {
        session.set(await unwrap(delivery.POST("/sessions", { body: { email, password } })));
        // The session is complete without it, and the profile offers it again.
        if (device.get() !== undefined) registerDevice().catch(() => undefined);
      }}
      onSuccess={onSignIn}
    >
      <TextField name="email" type="email" label={shared.email} autoComplete="username" isRequired />
      <TextField name="password" type="password" label={shared.password} autoComplete="current-password" isRequired />
    </Form>
  );
}

/** The sign-in form for visitors, and the children for signed-in users. */
export function RequireSession({ children, footer }: { children: ReactNode; footer?: ReactNode }) {
  const userId = useSession()?.user_id;
  // The pages of another user begin without the state of the previous one.
  if (userId !== undefined) return <Fragment key={userId}>{children}</Fragment>;
  return (
    <Page title={shared.signIn}>
      <SignInForm />
      {footer}
    </Page>
  );
}

/** Ends the session. The server ends all sessions of the account; without it, the session ends on this device only. */
export async function signOut(): Promise<void> {
  try {
    await forgetDevice();
    await delivery.DELETE("/sessions");
  } finally {
    session.set(undefined);
  }
}

export function SignOutButton() {
  const navigate = useNavigate();
  const action = useAction({ mutationFn: signOut, onSettled: () => navigate({ to: "/" }) });
  return (
    <Button kind="plain" isPending={action.isPending} onPress={() => action.run()}>
      {shared.signOut}
    </Button>
  );
}
